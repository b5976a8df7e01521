"""Pure: decides when a rule fires; no I/O."""
