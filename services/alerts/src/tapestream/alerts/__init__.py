"""Rules on every metric that flows, and the notifications of what came true."""
