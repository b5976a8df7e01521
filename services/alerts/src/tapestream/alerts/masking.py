"""URLs without their secrets: which of their parts are secret differs from service to service, so only the
scheme is shown, and the host of a plain webhook."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

MASK = "***"


def masked(url: str) -> str:
    """A URL that may be shown."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return MASK
    if parts.scheme not in ("http", "https"):
        return f"{parts.scheme}://{MASK}"
    rest = parts.path.strip("/") or parts.query or parts.username
    return f"{parts.scheme}://{host}/{MASK}" if rest else f"{parts.scheme}://{host}"


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
