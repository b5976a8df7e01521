"""Pair analytics: figures on request, live as bars close, and the radar over all pairs."""
