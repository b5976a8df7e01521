"""How messages become bars: pure."""
