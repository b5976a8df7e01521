"""Compiled loops over float64 arrays; the modules beside this folder give them types and words.

State that lives on between calls is one array, so that a snapshot is a copy of its bytes.
"""
