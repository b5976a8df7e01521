"""The one interleaved log: each line with the name of the process it came from."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tapestream.common.supervisor.lines import Style, is_noise, pretty, raw

OWN_NAME = "supervisor"
_QUEUE_LINES = 20_000


class Console:
    """Writes lines from a thread of its own, so that a stopped terminal stops nobody.

    When the reader is too slow the oldest lines give way, and a line says how many.
    """

    def __init__(
        self,
        fd: int = 1,
        *,
        tty: bool,
        colour: bool,
        debug: bool,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._fd = fd
        self._style = Style(tty=tty, colour=colour)
        self._debug = debug
        self._on_closed = on_closed
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._closing = self._broken = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def line(self, name: str, text: str) -> None:
        """A line that a child wrote."""
        if self._debug or not is_noise(name, text):
            self._put(pretty(name, text, self._style) if self._style.tty else raw(name, text))

    def event(self, level: str, event: str, **fields: Any) -> None:
        """A line of our own, in the form of the services' lines."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self.line(OWN_NAME, json.dumps({"event": event, "level": level, "timestamp": now, **fields}))

    def text(self, text: str) -> None:
        """Lines without a prefix: the banner."""
        self._put(text.rstrip("\n") + "\n")

    def close(self, within_s: float = 2.0) -> None:
        """Write what is left, unless nobody reads it."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(within_s)

    def _put(self, text: str) -> None:
        with self._wake:
            if self._broken:
                return
            if len(self._lines) >= _QUEUE_LINES:
                self._lines.popleft()
                self._dropped += 1
            self._lines.append(text)
            self._wake.notify()

    def _write(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._lines or self._closing)
                if not self._lines:
                    return
                text = "".join(self._lines)
                self._lines.clear()
                if self._dropped:
                    text = f"… {self._dropped} lines dropped: the console did not keep up\n{text}"
                    self._dropped = 0
            data = text.encode(errors="replace")
            try:
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError:  # the reader is gone
                with self._wake:
                    self._broken = True
                    self._lines.clear()
                if self._on_closed:
                    with suppress(RuntimeError):  # the loop is closed: we are leaving
                        self._on_closed()
                return
