"""Logs, figures, health and traces."""
