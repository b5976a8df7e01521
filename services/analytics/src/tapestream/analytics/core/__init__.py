"""What analytics decides: pure functions of bars, state and requests."""
