"""The API's documents."""

from __future__ import annotations

from fastapi import FastAPI


def documented(app: FastAPI) -> None:
    """Serve the documents."""
