"""A WebSocket subscriber in a process of its own that keeps up with anything: it writes down every frame.

``python -m tests.support.ws_reader PORT COUNT FILE CHANNEL…`` resumes the channels from the first trade
that there is, writes each text frame as a line, and ends after COUNT frames of trades. What is in the
frames is looked at afterwards: whoever parses while it reads falls behind, and is conflated.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import picows

ROOT = Path(__file__).resolve().parents[2]
TRADE = b'{"type":"trade"'


class Reader(picows.WSListener):
    """Writes frames; ``done`` is set when it has them all, or the connection has ended."""

    def __init__(self, out: IO[bytes], count: int, channels: Sequence[str]) -> None:
        self._out, self._left, self._channels = out, count, channels
        self.done = asyncio.Event()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        wish = {"action": "subscribe", "channels": self._channels, "since": {"trades": 0}}
        transport.send(picows.WSMsgType.TEXT, json.dumps(wish).encode())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:  # noqa: ARG002
        if frame.msg_type is not picows.WSMsgType.TEXT:
            return
        payload = frame.get_payload_as_bytes()
        self._out.write(payload + b"\n")
        if payload.startswith(TRADE):
            self._left -= 1
            if not self._left:
                self.done.set()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002
        self.done.set()


async def read(port: int, count: int, path: Path, channels: Sequence[str]) -> None:
    with path.open("wb") as out:
        transport, listener = await picows.ws_connect(
            lambda: Reader(out, count, channels), f"ws://127.0.0.1:{port}/ws"
        )
        assert isinstance(listener, Reader)
        await listener.done.wait()
        transport.disconnect()


@contextmanager
def reading(port: int, count: int, path: Path, channels: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which is ended at the end."""
    command = [sys.executable, "-m", "tests.support.ws_reader", str(port), str(count), str(path), *channels]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def frames(path: Path) -> list[dict[str, Any]]:
    """What was written down."""
    return json.loads(b"[" + b",".join(path.read_bytes().splitlines()) + b"]")


if __name__ == "__main__":
    asyncio.run(read(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:]))
