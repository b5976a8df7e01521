"""Plays a tape: frames go out at the pace at which they were received."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np

from tapestream.simulators.binance import frames
from tapestream.simulators.binance.derived import DerivedStreams
from tapestream.simulators.binance.hub import Channel, Hub
from tapestream.simulators.binance.streams import Kind, Stream
from tapestream.simulators.binance.tape_source import TapeSource
from tapestream.simulators.market import MS_NS, Instrument, InstrumentKey, Trades

_IDLE_S = 0.02
_BATCH = 512
_BACKLOG_BYTES = 4 << 20
_BACKLOG_WAIT_S = 10.0
_ALIASED = (Kind.DEPTH, Kind.MARK_PRICE, Kind.PARTIAL_DEPTH)
_GRACE_MS = 250


class TapePlayer:
    """Pushes a tape to the hub.

    It waits until every symbol's trade stream is subscribed by somebody, or for :meth:`start`; then its
    clock waits for nobody. ``speed`` 0 means as fast as clients read.

    Where aggregates alone were recorded, each goes out as a trade, too: the one that REST shows for it.
    """

    def __init__(self, source: TapeSource, hub: Hub, speed: float, loop: bool) -> None:
        self._source, self._hub, self._speed, self._loop = source, hub, speed, loop
        self._tape, self._position = source.tape, source.position
        tape = source.tape
        self._targets: list[list[Channel]] = [[hub.channel(stream)] for stream in tape.streams]
        self._native = {(stream.market, stream.name) for stream in tape.streams}
        self._native_kinds = {(stream.key, stream.kind) for stream in tape.streams}
        self._aggs = {
            key: hub.channel(
                Stream(key.market, f"{key.symbol.lower()}@aggTrade", Kind.AGG_TRADE, key.symbol, "")
            )
            for key in tape.symbols
            if (key, Kind.TRADE) in self._native_kinds and (key, Kind.AGG_TRADE) not in self._native_kinds
        }
        self._trades = {
            key: hub.channel(Stream(key.market, f"{key.symbol.lower()}@trade", Kind.TRADE, key.symbol, ""))
            for key in tape.symbols
            if (key, Kind.AGG_TRADE) in self._native_kinds and (key, Kind.TRADE) not in self._native_kinds
        }
        self._rows: dict[InstrumentKey, int] = dict.fromkeys(tape.symbols, 0)
        self._started = asyncio.Event()
        self._began = 0.0
        self._finished = False
        hub.on_subscribe.append(self._subscribed)
        self._derived = DerivedStreams(source, hub, self._is_native, None, _GRACE_MS)

    def _is_native(self, channel: Channel) -> bool:
        stream = channel.stream
        if (stream.market, stream.name) in self._native:
            return True
        return (
            stream.kind in (Kind.DEPTH, Kind.MARK_PRICE) and (stream.key, stream.kind) in self._native_kinds
        )

    def status(self) -> dict[str, Any]:
        tape, position = self._tape, self._position
        return {
            "source": "tape",
            "started": self._started.is_set(),
            "finished": self._finished,
            "position": position.frames,
            "frames": len(tape),
            "rounds": position.rounds,
            "position_ns": self._source.now_ns(),
            "waiting_for": self.waiting_for(),
        }

    def waiting_for(self) -> list[str]:
        """Trade streams that nobody has subscribed to yet; the tape starts when there is none."""
        if self._started.is_set():
            return []
        waiting: list[str] = []
        for key in self._tape.symbols:
            kind = next(
                (kind for kind in (Kind.TRADE, Kind.AGG_TRADE) if (key, kind) in self._native_kinds), None
            )
            name = f"{key.symbol.lower()}@{kind}"
            if kind is None or self._hub.channel(Stream(key.market, name, kind, key.symbol, "")):
                continue
            if not self._trades.get(key):
                waiting.append(name)
        return waiting

    def start(self) -> None:
        """Begin now, whoever listens."""
        self._started.set()

    def _subscribed(self, channel: Channel) -> None:
        stream = channel.stream
        if stream.kind in _ALIASED and (stream.market, stream.name) not in self._native:
            for recorded, targets in zip(self._tape.streams, self._targets, strict=True):
                alike = recorded.key == stream.key and recorded.kind is stream.kind
                if alike and recorded.argument == stream.argument and channel not in targets:
                    targets.append(channel)
        if not self._started.is_set() and not self.waiting_for():
            self.start()

    async def run(self) -> None:
        while not self._started.is_set():
            self._idle()
            try:
                async with asyncio.timeout(_IDLE_S):
                    await self._started.wait()
            except TimeoutError:
                pass
        self._began = time.monotonic()
        while True:
            await (self._play_fast() if self._speed == 0 else self._play_paced())
            if not self._loop:
                break
            self._next_round()
        self._finished = True
        while True:
            self._idle()
            await asyncio.sleep(_IDLE_S)

    def _idle(self) -> None:
        self._derived.tick(self._source.now_ns() // MS_NS)
        self._hub.release()
        self._hub.flush()

    def _next_round(self) -> None:
        self._position.rounds += 1
        self._position.frames = 0
        self._rows = dict.fromkeys(self._rows, 0)

    async def _play_paced(self) -> None:
        tape, position = self._tape, self._position
        recv = tape.recv_ns
        first = int(recv[0])
        total = len(tape)
        round_began = self._began + position.rounds * tape.loop_ns / 1e9 / self._speed
        while position.frames < total:
            played_ns = int((time.monotonic() - round_began) * self._speed * 1e9)
            until = int(np.searchsorted(recv, first + played_ns, side="right"))
            if until > position.frames:
                self._play(min(until, position.frames + _BATCH))
            else:
                self._idle()
            behind = until > position.frames
            due_s = 0.0
            if not behind and position.frames < total:
                due_s = (
                    (int(recv[position.frames]) - first) / 1e9 / self._speed + round_began - time.monotonic()
                )
            await asyncio.sleep(0 if behind else min(max(due_s, 0.0), _IDLE_S))

    async def _play_fast(self) -> None:
        position = self._position
        while position.frames < len(self._tape):
            self._play(min(len(self._tape), position.frames + _BATCH))
            await asyncio.sleep(0)
            patience = time.monotonic() + _BACKLOG_WAIT_S
            while self._hub.buffered_bytes() > _BACKLOG_BYTES and time.monotonic() < patience:
                await asyncio.sleep(0.001)

    def _play(self, until: int) -> None:
        """Send frames up to a position and write them."""
        tape, position, hub = self._tape, self._position, self._hub
        symbols, rounds = tape.symbols, position.rounds
        begin = position.frames
        stream_of = tape.stream_of[begin:until].tolist()
        trade_ids = tape.trade_id[begin:until].tolist()
        kinds = tape.trade_kind[begin:until].tolist()
        at = begin
        for place, recorded_id, kind in zip(stream_of, trade_ids, kinds, strict=True):
            position.frames = at + 1
            if place >= 0:
                targets = self._targets[place]
                stream = tape.streams[place]
                trade_id = recorded_id
                if trade_id >= 0:
                    key = stream.key
                    trade_id += rounds * symbols[key].span[Kind.TRADE]
                    hub.ledger.of(key).emit(trade_id, kind)
                for channel in targets:
                    if channel:
                        payload = (
                            self._source.payload(at, stream.kind, stream.key) if rounds else tape.payloads[at]
                        )
                        hub.publish(channel, payload, trade_id)
                if trade_id >= 0 or (stream.kind is Kind.AGG_TRADE and stream.key in self._trades):
                    self._derive(stream.key, at)
            at += 1
        self._idle()

    def _derive(self, key: InstrumentKey, at: int) -> None:
        """Aggregates and candles out of the trades that are due with this frame."""
        channel, made = self._aggs.get(key), self._trades.get(key)
        wants = self._derived.wants_trades(key)
        symbol = self._tape.symbols[key]
        row, rounds = self._rows[key], self._position.rounds
        due = row
        while due < len(symbol.trade_at) and symbol.trade_at[due] <= at:
            due += 1
        self._rows[key] = due
        if not wants and not channel and made is None:
            return
        trades = symbol.trades
        moved_id, moved_ms = rounds * symbol.span[Kind.TRADE], rounds * self._tape.loop_ns // MS_NS
        for here in range(row, due):
            ts_ms = int(trades.ts_ns[here]) // MS_NS + moved_ms
            if wants and not trades.kind[here]:
                self._derived.trade(
                    key,
                    ts_ms,
                    int(trades.ids[here]) + moved_id,
                    int(trades.ticks[here]),
                    int(trades.lots[here]),
                    bool(trades.buyer_maker[here]),
                )
            if made is not None:
                self._trade(made, symbol.instrument, trades.rows(slice(here, here + 1)), moved_id, ts_ms)
            ends = here + 1 >= len(trades) or trades.agg[here + 1] != trades.agg[here]
            if channel and ends:
                self._aggregate(channel, symbol.instrument.key, here, moved_id, ts_ms)

    def _trade(
        self, channel: Channel, instrument: Instrument, row: Trades, moved_id: int, ts_ms: int
    ) -> None:
        trade_id = int(row.ids[0]) + moved_id
        self._hub.ledger.of(instrument.key).emit(trade_id, 0)
        if channel:
            payload = frames.trade(
                instrument, ts_ms, trade_id, int(row.ticks[0]), int(row.lots[0]), bool(row.buyer_maker[0]), 0
            )
            self._hub.publish(channel, payload, trade_id)

    def _aggregate(self, channel: Channel, key: InstrumentKey, last: int, moved_id: int, ts_ms: int) -> None:
        symbol = self._tape.symbols[key]
        trades = symbol.trades
        first = last
        while first > 0 and trades.agg[first - 1] == trades.agg[last]:
            first -= 1
        fills = trades.rows(slice(first, last + 1)).ordinary()
        if not len(fills):
            return
        agg_id = int(fills.agg[0]) + self._position.rounds * symbol.span[Kind.AGG_TRADE]
        payload = frames.agg_trade(
            symbol.instrument,
            ts_ms,
            agg_id,
            int(fills.ticks[0]),
            int(fills.lots.sum()),
            int(fills.ids[0]) + moved_id,
            int(fills.ids[-1]) + moved_id,
            bool(fills.buyer_maker[0]),
        )
        self._hub.publish(channel, payload)
