"""From the streams into memory and on to the clients."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import msgspec
import nats.errors
import structlog

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.live import Incoming, LiveReader
from tapestream.common.contracts.messages import (
    Bar,
    Clock,
    Gap,
    QuoteBatch,
    TradeBatch,
    TradeKind,
    decoder,
)
from tapestream.common.contracts.streams import BARS, MARKET
from tapestream.common.contracts.subjects import Subjects
from tapestream.gateway import metrics
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.columns import TradeColumns, make_columns
from tapestream.gateway.core.frames import (
    bar_payload,
    gap_payload,
    quote_payloads,
    to_json,
    trade_payload,
    trade_payloads,
)
from tapestream.gateway.core.seq import Ascending, position
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.market import Memory, SymbolMemory
from tapestream.gateway.ws.hub import Hub

log = structlog.get_logger(__name__)

TICKER_EVERY_S = 1.0
QUOTES_BACK_S = 10.0
"""Of quotes only the newest are kept: a short look back finds them."""
_KIND_NUMBERS = {kind.name: int(kind) for kind in TradeKind}


class Feed:
    """Applies every message once: what is known already is recognised by its ids."""

    def __init__(self, subjects: Subjects, memory: Memory, hub: Hub) -> None:
        self._subjects, self._memory, self._hub = subjects, memory, hub
        self._symbols: dict[str, SymbolMemory] = {}
        self._decode_trades = decoder(TradeBatch).decode
        self._decode_quotes = decoder(QuoteBatch).decode
        self._decode_clock = decoder(Clock).decode
        self._decode_bar = decoder(Bar).decode
        self._decode_gap = decoder(Gap).decode
        self.trade_seq, self.quote_seq, self.bar_seq = Ascending(), Ascending(), Ascending()
        self.bars_from = 0
        """Position of the first bar or gap that was read: a client may resume from there on."""
        self.latency_s = 0.0
        """Moving average of the time from a trade's reception to here."""
        self.caught_up = asyncio.Event()
        """Set once memory holds what the streams had at the start; live frames go out from then on."""
        self._trade_prefix = subjects.market("trade")[:-1]

    @property
    def is_flowing(self) -> bool:
        """Whether anything came lately."""
        return bool(self._memory.heard_within(5))

    async def run(self, bus: Bus, warm_up_s: float, warm_up_messages: int) -> None:
        """Read until cancelled, beginning ``warm_up_s`` ago or ``warm_up_messages`` back at most."""
        subjects = self._subjects
        market = await start_time(bus, MARKET, warm_up_s, warm_up_messages)
        bars = await start_time(bus, BARS, warm_up_s, warm_up_messages)
        readers = [
            LiveReader(
                bus,
                stream=MARKET,
                filters=[subjects.market("trade"), subjects.market("backfill")],
                handle=self._on_trades,
                start=market,
            ),
            LiveReader(
                bus,
                stream=MARKET,
                filters=[subjects.market("quote"), subjects.market("clock")],
                handle=self._on_quote_or_clock,
                start=datetime.now(UTC) - timedelta(seconds=QUOTES_BACK_S),
            ),
            LiveReader(
                bus,
                stream=BARS,
                filters=[subjects.market("bar"), subjects.market("gap")],
                handle=self._on_bar_or_gap,
                start=bars,
            ),
        ]
        async with asyncio.TaskGroup() as group:
            for reader in readers:
                group.create_task(reader.run())
            await asyncio.gather(*(reader.caught_up.wait() for reader in readers))
            self.caught_up.set()
            log.info("memory_ready", symbols=len(self._memory.symbols))
            group.create_task(self._tick())

    # --- trades

    def _on_trades(self, incoming: Incoming) -> None:
        memory = self._symbol_of(incoming.subject)
        batch = self._decode_trades(incoming.data)
        if incoming.subject.startswith(self._trade_prefix):
            self._append(memory, batch, incoming.seq)
        else:
            self._insert_late(memory, batch)

    def _append(self, memory: SymbolMemory, batch: TradeBatch, stream_seq: int) -> None:
        ring = memory.trades
        known, overtaken = ring.last_id, ring.overtaken
        if not batch.id or batch.id[-1] <= known:
            return
        kinds = _kinds(batch)
        seqs = self.trade_seq.take(stream_seq, len(batch.id))
        first = ring.append(
            batch.prev_id,
            batch.id,
            batch.ts_ns,
            batch.price,
            batch.qty,
            batch.buyer_maker,
            kinds,
            seqs,
        )
        if ring.overtaken != overtaken:
            metrics.OVERTAKEN.inc()
            log.warning("stream_overtook_memory", symbol=memory.shown, after_id=known, up_to_id=batch.prev_id)
        metrics.TRADES.inc(len(batch.id) - first)
        for row in range(first, len(batch.id)):
            if kinds == 0 or (not isinstance(kinds, int) and kinds[row] == 0):
                memory.ticker.add(batch.ts_ns[row], batch.price[row], batch.qty[row])
        if not self.caught_up.is_set():
            return
        memory.heard_at = time.monotonic()
        memory.ticker_due = True
        self._publish_trades(memory, batch, first, seqs)
        latency = (time.time_ns() - batch.recv_ns) / 1e9
        metrics.TICK_SECONDS.observe(latency)
        self.latency_s += 0.05 * (latency - self.latency_s)

    def _publish_trades(self, memory: SymbolMemory, batch: TradeBatch, first: int, seqs: range) -> None:
        for topic in self._hub.topics(memory.trades_source):
            frame_type = topic.channel.frame_type or "trade"
            symbol = to_json(memory.shown).decode()
            kinds = None if isinstance(batch.kind, msgspec.UnsetType) else batch.kind
            payloads = [
                trade_payload(
                    frame_type,
                    symbol,
                    batch.id[row],
                    batch.ts_ns[row],
                    batch.price[row],
                    batch.qty[row],
                    batch.buyer_maker[row],
                    kinds[row] if kinds else "MARKET",
                    seqs[row],
                )
                for row in range(first, len(batch.id))
            ]
            topic.publish(Bundle(topic.key, payloads))

    def _insert_late(self, memory: SymbolMemory, batch: TradeBatch) -> None:
        late = columns_of(batch, range(len(batch.id)))
        rows = memory.trades.insert_late(late)
        metrics.TRADES.inc(len(rows))
        if not rows or not self.caught_up.is_set():
            return
        part = late.rows(rows[0], rows[-1] + 1)
        for topic in self._hub.topics(memory.trades_source):
            topic.publish(Bundle("late:" + topic.key, trade_payloads("late_trade", memory.shown, part)))

    # --- quotes, clocks

    def _on_quote_or_clock(self, incoming: Incoming) -> None:
        parsed = self._subjects.parse_market(incoming.subject)
        if parsed.kind == "clock":
            clock = self._decode_clock(incoming.data)
            self._memory.clock_ns[clock.venue] = max(clock.ts_ns, self._memory.clock_ns.get(clock.venue, 0))
            return
        batch = self._decode_quotes(incoming.data)
        memory = self._memory.of(parsed.venue, parsed.symbol)
        known = memory.last_quote_id
        if not batch.id or batch.id[-1] <= known:
            return
        first = next(row for row, quote_id in enumerate(batch.id) if quote_id > known)
        seqs = self.quote_seq.take(incoming.seq, len(batch.id) - first)
        memory.quote, memory.quote_seq, memory.last_quote_id = batch, seqs[-1], batch.id[-1]
        if not self.caught_up.is_set():
            return
        memory.heard_at = time.monotonic()
        for topic in self._hub.topics(f"quotes::{memory.name}"):
            topic.publish(Bundle(topic.key, quote_payloads(memory.shown, batch, first, seqs)))

    # --- bars, gaps

    def _on_bar_or_gap(self, incoming: Incoming) -> None:
        parsed = self._subjects.parse_market(incoming.subject)
        memory = self._memory.of(parsed.venue, parsed.symbol)
        if not self.bars_from:
            self.bars_from = position(incoming.seq)
        if parsed.kind == "gap":
            self._on_gap(memory, incoming)
            return
        bar = self._decode_bar(incoming.data)
        ring = self._memory.bars_of(memory, bar.timeframe)
        if ring.is_known(bar):
            return
        seq = self.bar_seq.take(incoming.seq, 1)[0]
        ring.put(bar, seq)
        metrics.BARS.inc()
        if not self.caught_up.is_set():
            return
        memory.heard_at = time.monotonic()
        for topic in self._hub.topics(f"bars:{bar.timeframe}:{memory.name}"):
            frame_type = topic.channel.frame_type or "bar"
            # a corrected old bar must not hide the running one from a client that conflates
            key = f"{topic.key}@{bar.ts_ns}"
            topic.publish(Bundle(key, [bar_payload(frame_type, memory.shown, bar, seq)]))

    def _on_gap(self, memory: SymbolMemory, incoming: Incoming) -> None:
        gap = self._decode_gap(incoming.data)
        if not memory.note_gap(gap):
            return
        seq = self.bar_seq.take(incoming.seq, 1)[0]
        if not self.caught_up.is_set():
            return
        for topic in self._hub.topics(f"gaps::{memory.name}"):
            key = f"{topic.key}@{gap.from_id}"
            topic.publish(Bundle(key, [gap_payload(memory.shown, gap, seq)]))

    # --- tickers

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICKER_EVERY_S)
            for memory in self._memory.symbols.values():
                if not memory.ticker_due:
                    continue
                for topic in self._hub.topics(f"ticker::{memory.name}"):
                    memory.ticker_due = False
                    payload = ticker_payload(memory)
                    if payload is not None:
                        topic.publish(Bundle(topic.key, [payload]))

    def _symbol_of(self, subject: str) -> SymbolMemory:
        memory = self._symbols.get(subject)
        if memory is None:
            parsed = self._subjects.parse_market(subject)
            memory = self._symbols[subject] = self._memory.of(parsed.venue, parsed.symbol)
        return memory


async def start_time(bus: Bus, stream: str, back_s: float, most: int) -> datetime:
    """``back_s`` ago, or later where the stream has more than ``most`` messages since then."""
    start = datetime.now(UTC) - timedelta(seconds=back_s)
    name = bus.subjects.stream(stream)
    while True:
        try:
            state = (await bus.js.stream_info(name)).state
            if state.last_seq - most <= state.first_seq:
                return start
            message = await bus.js.get_msg(name, seq=state.last_seq - most, next=True)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.debug("warm_up_retry", stream=stream, error=repr(error))
            await asyncio.sleep(0.2)
            continue
        if message.time is None:
            return start
        return max(start, message.time)


def ticker_payload(memory: SymbolMemory) -> bytes | None:
    """A ``ticker`` frame; None before the first trade."""
    figures = memory.ticker.figures()
    if figures is None:
        return None
    ring = memory.trades
    row = ring.columns().rows(len(ring) - 1, len(ring))
    return to_json(
        {"type": "ticker", "symbol": memory.shown}
        | figures
        | {"ts": iso_utc(int(row.ts_ns[0])), "seq": int(row.seq[0])}
    )


def columns_of(batch: TradeBatch, seqs: range) -> TradeColumns:
    """A batch as columns."""
    kinds = _kinds(batch)
    return make_columns(
        batch.id,
        batch.ts_ns,
        batch.price,
        batch.qty,
        batch.buyer_maker,
        [kinds] * len(batch.id) if isinstance(kinds, int) else kinds,
        list(seqs),
    )


def _kinds(batch: TradeBatch) -> list[int] | int:
    if isinstance(batch.kind, msgspec.UnsetType):
        return 0
    return [_KIND_NUMBERS.get(name, int(TradeKind.OTHER)) for name in batch.kind]
