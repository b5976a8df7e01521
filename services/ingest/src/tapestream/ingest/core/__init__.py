"""Decisions of ingest as pure functions and state machines: no sockets, no clock of their own."""
