"""Programs of ours with one safeguard taken out, to show that the tests would notice."""
