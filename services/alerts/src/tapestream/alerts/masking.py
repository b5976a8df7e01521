"""URLs without their secrets: which of their parts are secret differs from service to service, so only the
scheme is shown, and the host of a plain webhook. A few digits of a hash tell two URLs of one service apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import urlsplit

MASK = "***"


def masked(url: str) -> str:
    """A URL that may be shown."""
    scheme = url.partition("://")[0]
    if scheme not in ("http", "https"):
        return f"{scheme}://{MASK}{_mark(url)}" if scheme.isalnum() else f"{MASK}{_mark(url)}"
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return f"{MASK}{_mark(url)}"
    rest = parts.path.strip("/") or parts.query or parts.username
    return f"{parts.scheme}://{host}/{MASK}{_mark(url)}" if rest else f"{parts.scheme}://{host}"


def _mark(url: str) -> str:
    """Too short to be of use to one who guesses the secret."""
    return hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()[:4]


def unmasked(urls: Sequence[object], known: Sequence[str]) -> list[object]:
    """URLs as a client sends them back: one that is still masked means the known one that looks so."""
    left = list(known)
    found: list[object] = []
    for url in urls:
        match = next((one for one in left if url in (one, masked(one))), None)
        if match is not None:
            left.remove(match)
        found.append(url if match is None else match)
    return found
