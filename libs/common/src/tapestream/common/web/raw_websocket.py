"""A uvicorn WebSocket protocol whose frames can be built once and written to many clients.

Starlette's ``send_text`` frames a message anew for each client; with fifty clients and a thousand
ticks a second that is most of a core. Here a handler frames a payload once with
:func:`tapestream.common.frames.text_frame` and hands the same bytes to every client's :meth:`RawWebSocket.write`.

Serve with ``uvicorn.Config(..., ws=RawWebSocketProtocol, ws_per_message_deflate=False)``, then in a
handler: ``raw = raw_websocket(websocket)``, after ``accept()``. Receiving, pings and closing stay
with the ordinary ASGI interface.
"""

from __future__ import annotations

from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

EXTENSION = "tapestream.raw_websocket"


class RawWebSocket(Protocol):
    """What a handler may do with the wire."""

    def write(self, frames: bytes) -> None:
        """Send ready-made frames. Does nothing when the connection is closing."""
        ...

    def buffered_bytes(self) -> int:
        """Bytes that the client has not taken yet."""
        ...

    def close(self, code: int, reason: str, linger_s: float) -> None:
        """Say why, behind what was already written, and cut the connection after ``linger_s``.

        Unlike an ASGI close it does not wait for a client that does not read.
        """
        ...

    def abort(self) -> None:
        """Cut the connection at once, unsent bytes included."""
        ...


class RawWebSocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's own protocol plus a way to the wire, offered under :data:`EXTENSION` in the scope."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope: dict[str, Any] | None = getattr(self, "scope", None)
        if scope is not None:  # else the handshake was refused already
            scope["extensions"][EXTENSION] = self

    def write(self, frames: bytes) -> None:
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frames)

    def buffered_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def close(self, code: int, reason: str, linger_s: float) -> None:
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:  # so that the client's answer to the close is seen
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(linger_s, self.transport.abort)

    def abort(self) -> None:
        self.transport.abort()


def raw_websocket(websocket: Any) -> RawWebSocket:
    """The wire of a Starlette WebSocket that is served by :class:`RawWebSocketProtocol`."""
    return websocket.scope["extensions"][EXTENSION]
