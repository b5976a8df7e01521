"""Pair analytics: figures of pairs as their bars close and on request, and the radar over all pairs."""
