"""The WebSocket: clients, topics and the fan-out."""
