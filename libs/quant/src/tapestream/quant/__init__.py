"""Pure numerical code: no I/O, no clock, no event loop."""
