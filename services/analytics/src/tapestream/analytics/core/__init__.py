"""Pure: decides what is computed when; no I/O."""
