"""WebSocket frames as a server sends them (RFC 6455 section 5.2): whole and unmasked."""

from __future__ import annotations

import struct

_TEXT, _BINARY = 0x81, 0x82


def text_frame(payload: bytes) -> bytes:
    """A text frame around a UTF-8 payload."""
    return _header(_TEXT, len(payload)) + payload


def binary_frame(payload: bytes) -> bytes:
    """A binary frame around a payload."""
    return _header(_BINARY, len(payload)) + payload


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)
