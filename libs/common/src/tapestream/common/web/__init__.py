"""Serving HTTP and WebSocket."""
