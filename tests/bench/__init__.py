"""Benchmarks: figures beside their floors, taken side by side in one run."""
