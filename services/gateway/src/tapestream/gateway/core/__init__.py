"""Decisions without input or output: rings, merging, conflation, reading what clients say."""
