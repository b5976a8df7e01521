"""Lines out of a child's pipe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_CHUNK = 65_536
LONGEST_LINE = 65_536
"""A longer line is cut: a child that writes no newline must not fill our memory."""


async def read_lines(fd: int, heard: Callable[[str], None]) -> None:
    """Call ``heard`` for each line until the pipe closes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK, loop=loop)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(fd, "rb", buffering=0)
    )
    rest = b""
    try:
        while chunk := await reader.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                heard(_text(line))
            if len(rest) > LONGEST_LINE:
                heard(_text(rest))
                rest = b""
        if rest:
            heard(_text(rest))
    finally:
        transport.close()


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="replace")
