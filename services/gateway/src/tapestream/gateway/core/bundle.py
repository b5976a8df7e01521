"""Frames of one topic that appeared together, encoded at most once per form."""

from __future__ import annotations

from collections.abc import Sequence

from tapestream.common.frames import binary_frame, text_frame
from tapestream.gateway.core.frames import to_msgpack


class Bundle:
    """One or more payloads for everybody who subscribed to a topic."""

    __slots__ = ("_binary", "_binary_wire", "_wire", "key", "payloads")

    def __init__(self, key: str, payloads: Sequence[bytes]) -> None:
        self.key = key
        """What a newer value of the same thing replaces: the topic's name."""
        self.payloads = payloads
        self._binary: Sequence[bytes] | None = None
        self._wire: bytes | None = None
        self._binary_wire: bytes | None = None

    def items(self, *, binary: bool) -> Sequence[bytes]:
        """The payloads, without WebSocket framing."""
        if not binary:
            return self.payloads
        if self._binary is None:
            self._binary = [to_msgpack(payload) for payload in self.payloads]
        return self._binary

    def wire(self, *, binary: bool) -> bytes:
        """The payloads as WebSocket frames, one after another."""
        if binary:
            if self._binary_wire is None:
                self._binary_wire = b"".join([binary_frame(item) for item in self.items(binary=True)])
            return self._binary_wire
        if self._wire is None:
            payloads = self.payloads
            self._wire = (
                text_frame(payloads[0])
                if len(payloads) == 1
                else b"".join([text_frame(payload) for payload in payloads])
            )
        return self._wire

    def newest(self, *, binary: bool) -> bytes:
        """The last payload alone."""
        return self.items(binary=binary)[-1]
