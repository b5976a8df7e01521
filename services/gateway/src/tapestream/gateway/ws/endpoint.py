"""A WebSocket connection from opening to closing."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from tapestream.common.errors import NotConnectedError
from tapestream.common.web.raw_websocket import raw_websocket
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.frames import bar_payload, quote_payloads, to_json, trade_payloads
from tapestream.gateway.core.pressure import Pressure
from tapestream.gateway.core.rate import TokenBucket
from tapestream.gateway.core.subscriptions import BadMessageError, Channel, Fault, Reader, Request, Since
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.feed import ticker_payload
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.ws.client import Client
from tapestream.gateway.ws.resume import Resume, TooOldError

log = structlog.get_logger(__name__)

_CLIENT_ID = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
SNAPSHOT_TRADES = 100


async def serve(websocket: WebSocket, gateway: Gateway) -> None:
    """Accept, greet, listen until the client is gone."""
    settings = gateway.settings
    if len(gateway.hub.clients) >= settings.ws_max_clients:
        await websocket.accept()
        await websocket.close(1013, f"{settings.ws_max_clients} clients are connected already")
        return
    await websocket.accept()
    given = websocket.query_params.get("client_id", "")
    client = Client(
        raw_websocket(websocket),
        client_id=given if _CLIENT_ID.fullmatch(given) else secrets.token_hex(8),
        binary=websocket.query_params.get("binary", "").lower() in {"1", "true", "yes"},
        pressure=Pressure(settings.ws_slow_bytes, settings.ws_slow_s),
        tally=gateway.hub.tally,
        wake=gateway.hub.wake,
        batch_interval_ms=settings.batch_update_interval_ms,
    )
    gateway.hub.join(client)
    try:
        await Conversation(client, gateway).run(websocket)
    finally:
        gateway.hub.leave(client)


class Conversation:
    """What one client says, and what it is answered."""

    def __init__(self, client: Client, gateway: Gateway) -> None:
        self._client, self._gateway = client, gateway
        settings = gateway.settings
        self._reader = Reader(
            settings.venue,
            gateway.is_known,
            gateway.catalog.allowed_text,
            tuple(settings.resample_intervals),
            settings.default_rolling_window,
            settings.default_regression,
        )
        rate = settings.ws_max_messages_per_s
        self._bucket = TokenBucket(rate, 2 * rate)
        self._warned_at = float("-inf")

    async def run(self, websocket: WebSocket) -> None:
        self._client.say(
            {
                "type": "connected",
                "client_id": self._client.client_id,
                "ts": iso_utc(time.time_ns()),
                "heartbeat_s": self._gateway.settings.ws_heartbeat_s,
                "seq": self._position(),
            }
        )
        with contextlib.suppress(WebSocketDisconnect):
            while not self._client.closed:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._keep_rate()
                text = message.get("text")
                await self._hear(text if text is not None else message.get("bytes") or b"")

    async def _keep_rate(self) -> None:
        """A client that talks too fast is heard later, which slows its own socket only."""
        while wait_s := self._bucket.take(time.monotonic()):
            if time.monotonic() - self._warned_at > 1:
                self._warned_at = time.monotonic()
                most = f"{self._gateway.settings.ws_max_messages_per_s:g} messages per second"
                self._complain(Fault("rate", "too many messages", most, "messages wait until they are heard"))
            await asyncio.sleep(wait_s)

    async def _hear(self, raw: str | bytes) -> None:
        try:
            request = self._reader.read(raw)
        except BadMessageError as error:
            self._complain(error.fault)
            return
        match request.action:
            case "ping":
                self._client.say({"type": "pong", "ts": iso_utc(time.time_ns())} | _echo(request))
            case "unsubscribe":
                self._unsubscribe(request)
            case _:
                await self._subscribe(request)
        for fault in request.faults:
            self._complain(fault, request)

    def _complain(self, fault: Fault, request: Request | None = None) -> None:
        self._client.say(
            {
                "type": "error",
                "message": f"{fault.field}: {fault.detail}",
                "field": fault.field,
                "value": fault.value,
                "allowed": fault.allowed,
            }
            | (_echo(request) if request else {})
        )

    # --- subscribing

    async def _subscribe(self, request: Request) -> None:
        client, hub = self._client, self._gateway.hub
        most = self._gateway.settings.ws_max_channels
        new = [channel for channel in request.channels if channel.topic not in client.channels]
        if len(client.channels) + len(new) > most:
            self._complain(
                Fault("channels", len(client.channels) + len(new), f"{most} at most", "too many channels"),
                request,
            )
            return
        client.set_pace(request.interval_ms, request.batch)
        client.chose_channels = client.chose_channels or request.names_channels
        since = _since_by_kind(request)
        if not since:
            for channel in request.channels:
                hub.subscribe(client, channel)
            self._acknowledge(request, "subscribed")
            self._greet(new)
            return
        resumed = [
            c for c in request.channels if c.kind == "trades" and (since.trades is not None or since.ids)
        ]
        bars = [c for c in request.channels if c.kind == "bars" and since.bars is not None]
        for channel in request.channels:
            if channel in resumed or channel in bars:
                hub.unsubscribe(client, channel)  # live again once it has caught up
            else:
                hub.subscribe(client, channel)
        self._acknowledge(request, "subscribed", [*client.channels.values(), *resumed, *bars])
        await self._resume(resumed, bars, since)

    async def _resume(self, trades: list[Channel], bars: list[Channel], since: Since) -> None:
        gateway = self._gateway
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await gateway.feed.caught_up.wait()
        for channels in (bars, trades):
            if not channels:
                continue
            try:
                await self._replay(channels, since)
            except (TooOldError, NotConnectedError) as error:
                reason = str(error) if isinstance(error, TooOldError) else "stream_unavailable"
                self._snapshot(channels, reason)
                self._go_live(channels)

    async def _replay(self, channels: list[Channel], since: Since) -> None:
        gateway = self._gateway
        if not gateway.feed.caught_up.is_set():
            self._snapshot(channels, "memory_not_ready")
            self._go_live(channels)
            return
        resume = Resume(
            self._client,
            gateway.bus,
            gateway.memory,
            gateway.feed,
            gateway.settings.ws_resume_trades,
            gateway.settings.ws_slow_bytes,
        )

        def go_live() -> None:
            self._go_live(channels)

        if channels[0].kind == "bars":
            await resume.bars(channels, since.bars or 0, go_live)
        else:
            await resume.trades(channels, since, go_live)

    def _go_live(self, channels: list[Channel]) -> None:
        if self._client.closed:
            return
        for channel in channels:
            self._gateway.hub.subscribe(self._client, channel)

    def _snapshot(self, channels: list[Channel], reason: str) -> None:
        """The present state, for a client that cannot be given what it missed."""
        items: list[bytes] = []
        for channel in channels:
            items += self._present(channel)
        head = to_json({"type": "snapshot", "reason": reason, "seq": self._position()})
        self._client.tell(Bundle("", [head[:-1] + b',"items":[' + b",".join(items) + b"]}"]))

    def _present(self, channel: Channel) -> list[bytes]:
        memory = self._gateway.memory.symbols.get(channel.symbol)
        if memory is None:
            return []
        match channel.kind:
            case "trades":
                ring = memory.trades
                last = ring.columns().rows(max(0, len(ring) - SNAPSHOT_TRADES), len(ring))
                return trade_payloads(channel.frame_type or "trade", memory.shown, last)
            case "bars":
                ring = self._gateway.memory.bars_of(memory, channel.timeframe)
                return [
                    bar_payload(channel.frame_type or "bar", memory.shown, bar, seq)
                    for seq, bar in ring.newest(SNAPSHOT_TRADES)
                ]
            case "quotes" if memory.quote is not None:
                row = len(memory.quote.id) - 1
                return quote_payloads(memory.shown, memory.quote, row, [memory.quote_seq])
            case "ticker":
                payload = ticker_payload(memory)
                return [payload] if payload else []
            case _:
                return []

    def _greet(self, channels: list[Channel]) -> None:
        """Quotes and tickers are states: a new listener gets the present one at once."""
        for channel in channels:
            if channel.kind in ("quotes", "ticker"):
                for payload in self._present(channel):
                    self._client.tell(Bundle("", [payload]))

    def _unsubscribe(self, request: Request) -> None:
        names = {channel.name for channel in request.channels}
        held = list(self._client.channels.values())
        # a channel has gone by its name, whatever else was said of it when it was subscribed
        named = [channel for channel in held if request.everything or channel.name in names]
        for channel in [*named, *request.channels]:
            self._gateway.hub.unsubscribe(self._client, channel)
            if channel.kind == "alerts":
                self._client.chose_channels = True
        if request.everything:
            self._client.chose_channels = True
        self._acknowledge(request, "unsubscribed")

    def _acknowledge(self, request: Request, status: str, channels: list[Channel] | None = None) -> None:
        now = channels if channels is not None else list(self._client.channels.values())
        shown = self._gateway.memory.shown
        from_text = self._reader.name_of
        symbols = {shown(from_text(c.symbol)): None for c in now if c.kind == "trades"}
        self._client.say(
            {
                "type": "subscription",
                "status": status,
                "client_id": self._client.client_id,
                "channels": sorted({channel.name for channel in now}),
                "symbols": list(symbols),
                "interval_ms": self._client.interval_ms,
                "batch": self._client.batch,
                "seq": self._position(),
            }
            | _echo(request)
        )

    def _position(self) -> dict[str, int]:
        feed = self._gateway.feed
        return {
            "trades": feed.trade_seq.last,
            "quotes": feed.quote_seq.last,
            "bars": feed.bar_seq.last,
            "signals": self._gateway.signals.seq.last,
        }


def _since_by_kind(request: Request) -> Since:
    """A bare number is a position of trades, or of bars where only bars are asked for."""
    since = request.since
    if since.trades is None or since.bars is not None:
        return since
    kinds = {channel.kind for channel in request.channels}
    if "trades" not in kinds and "bars" in kinds:
        return Since(bars=since.trades)
    return since


def _echo(request: Request) -> dict[str, object]:
    return {"id": request.id} if request.id is not None else {}
