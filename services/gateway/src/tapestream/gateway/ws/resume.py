"""Going on from where a client left off: from memory, else from the stream, else afresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import nats.errors
import structlog

from tapestream.common.bars import is_newer
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.streams import BARS, MARKET
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.columns import TradeColumns
from tapestream.gateway.core.frames import bar_payload, trade_payloads
from tapestream.gateway.core.seq import position, stream_seq_of
from tapestream.gateway.core.subscriptions import Channel, Since
from tapestream.gateway.feed import Feed, columns_of
from tapestream.gateway.market import Memory, SymbolMemory
from tapestream.gateway.readable import readable_bar, readable_trades
from tapestream.gateway.ws.client import Client
from tapestream.gateway.ws.replay import StreamReplay

log = structlog.get_logger(__name__)

CHUNK = 500
"""Trades written before other work has its turn."""
AHEAD_S = 2.0
"""How long to wait for a position that another gateway process has seen already."""


class TooOldError(Exception):
    """What was missed cannot be had any more; the text is the reason told to the client."""


_BarStates = dict[tuple[str, int], tuple[int, Bar, Channel]]
"""Topic and start → position, newest state, channel."""


@dataclass
class _Symbol:
    memory: SymbolMemory
    channels: list[Channel]
    last_id: int
    """The newest trade that the client has: nothing up to it is sent again."""


class Resume:
    """One client's way back to the live data."""

    def __init__(
        self, client: Client, bus: Bus, memory: Memory, feed: Feed, most_trades: int, slow_bytes: int
    ) -> None:
        self._client, self._bus, self._memory, self._feed = client, bus, memory, feed
        self._most, self._slow_bytes = most_trades, slow_bytes
        self._sent = 0

    # --- trades

    async def trades(self, channels: Sequence[Channel], since: Since, go_live: Callable[[], None]) -> None:
        """Send every trade after ``since``, then call ``go_live`` in the same breath.

        Raises TooOldError, after which the caller goes live with a snapshot.
        """
        symbols = self._symbols(channels, since)
        cursor = since.trades if since.trades is not None else self._cursor_of_ids(symbols)
        await self._wait_until_seen(cursor)
        while not self._client.closed:
            if self._covered(symbols, cursor):
                chunk = self._from_memory(symbols, cursor)
                if chunk is None:
                    go_live()
                    return
                cursor = chunk
            else:
                cursor = await self._from_stream(symbols, cursor)
                if not any(len(one.memory.trades) for one in symbols):
                    go_live()  # nothing came while we read: what comes next comes live
                    return
            await self._pace()

    def _symbols(self, channels: Sequence[Channel], since: Since) -> list[_Symbol]:
        found: dict[str, _Symbol] = {}
        for channel in channels:
            if channel.symbol not in found:
                symbol, _, venue = channel.symbol.rpartition("@")
                memory = self._memory.of(venue, symbol)
                found[channel.symbol] = _Symbol(memory, [], since.ids.get(channel.symbol, -1))
            found[channel.symbol].channels.append(channel)
        return list(found.values())

    def _cursor_of_ids(self, symbols: list[_Symbol]) -> int:
        """The position just before the first trade that any of the symbols misses."""
        cursor = self._feed.trade_seq.last
        for one in symbols:
            ring = one.memory.trades
            if one.last_id < 0 or not len(ring):
                continue
            if one.last_id < ring.prev_id:
                raise TooOldError("since_too_old")
            row = ring.index_after_id(one.last_id)
            if row < len(ring):
                cursor = min(cursor, int(ring.columns().seq[row]) - 1)
        for one in symbols:
            if one.last_id < 0:  # it did not say: nothing of the past for this one
                one.last_id = one.memory.trades.last_id
        return cursor

    async def _wait_until_seen(self, cursor: int) -> None:
        deadline = time.monotonic() + AHEAD_S
        while self._feed.trade_seq.last < cursor:
            if time.monotonic() > deadline:
                raise TooOldError("since_unknown")
            await asyncio.sleep(0.01)

    def _covered(self, symbols: list[_Symbol], cursor: int) -> bool:
        """Whether memory holds everything after the cursor."""
        rings = [(one, one.memory.trades) for one in symbols]
        return all(
            not len(ring) or cursor >= ring.first_seq - 1 or ring.prev_id <= one.last_id
            for one, ring in rings
        ) and any(len(ring) for _, ring in rings)

    def _from_memory(self, symbols: list[_Symbol], cursor: int) -> int | None:
        """Write the next chunk in order of position; returns its end, None where nothing is left."""
        parts: list[tuple[_Symbol, TradeColumns]] = []
        end = self._feed.trade_seq.last
        for one in symbols:
            ring = one.memory.trades
            first = ring.index_after_seq(cursor)
            part = ring.columns().rows(first, first + CHUNK)
            if len(part):
                parts.append((one, part))
                if len(part) == CHUNK:
                    end = min(end, int(part.seq[-1]))
        if not parts:
            return None
        self._write(parts, end)
        return end

    async def _from_stream(self, symbols: list[_Symbol], cursor: int) -> int:
        """Write what lies between the cursor and memory; returns the position that memory takes over at."""
        border = max((one.memory.trades.first_seq for one in symbols), default=0)
        if border == 0:  # memory has none of these symbols: the stream alone knows
            border = self._feed.trade_seq.last + 1
        by_subject = {
            self._bus.subjects.trade(one.memory.name.venue, one.memory.name.symbol): one for one in symbols
        }
        try:
            async with StreamReplay(self._bus, MARKET, list(by_subject), stream_seq_of(cursor)) as replay:
                if replay.first_seq > stream_seq_of(cursor) + 1:
                    raise TooOldError("since_too_old")
                while messages := await replay.next():
                    for message in messages:
                        if position(message.seq) >= border:
                            return border - 1
                        batch = readable_trades(message.data, message.subject, message.seq)
                        if batch is None:
                            continue
                        first = position(message.seq)
                        part = columns_of(batch, range(first, first + len(batch.id)))
                        part = part.where(part.seq > cursor)
                        self._write([(by_subject[message.subject], part)], border)
                    await self._pace()
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.warning("resume_from_stream_failed", error=repr(error))
            raise TooOldError("stream_unavailable") from None
        return border - 1

    def _write(self, parts: list[tuple[_Symbol, TradeColumns]], end: int) -> None:
        merged: list[tuple[int, bytes]] = []
        for one, part in parts:
            fresh = part.where((part.id > one.last_id) & (part.seq <= end))
            if not len(fresh):
                continue
            one.last_id = int(fresh.id[-1])
            for channel in one.channels:
                payloads = trade_payloads(channel.frame_type or "trade", one.memory.shown, fresh)
                merged.extend(zip(fresh.seq.tolist(), payloads, strict=True))
        if not merged:
            return
        merged.sort(key=lambda pair: pair[0])
        self._sent += len(merged)
        if self._sent > self._most:
            raise TooOldError("too_much_missed")
        self._client.tell(Bundle("", [payload for _, payload in merged]))

    async def _pace(self) -> None:
        """Let others work, and wait for a client that does not read as fast as we write."""
        await asyncio.sleep(0)
        while not self._client.closed and (
            self._client.is_slow or self._client.raw.buffered_bytes() > self._slow_bytes // 2
        ):
            await asyncio.sleep(0.01)

    # --- bars

    async def bars(self, channels: Sequence[Channel], since: int, go_live: Callable[[], None]) -> None:
        """Send the newest state of every bar that changed after ``since``, then call ``go_live``.

        Raises TooOldError like :meth:`trades`.
        """
        if since > self._feed.bar_seq.last:
            raise TooOldError("since_unknown")
        states: _BarStates = {}
        if since < self._feed.bars_from:
            states = await self._bars_from_stream(channels, since)
        for channel in channels:
            symbol, _, venue = channel.symbol.rpartition("@")
            memory = self._memory.of(venue, symbol)
            for seq, bar in self._memory.bars_of(memory, channel.timeframe).after_seq(since):
                _note(states, channel, seq, bar)
        for seq, bar, channel in sorted(states.values(), key=lambda state: state[0]):
            symbol, _, venue = channel.symbol.rpartition("@")
            shown = self._memory.of(venue, symbol).shown
            self._client.tell(Bundle("", [bar_payload(channel.frame_type or "bar", shown, bar, seq)]))
        go_live()

    async def _bars_from_stream(self, channels: Sequence[Channel], since: int) -> _BarStates:
        by_subject: dict[str, list[Channel]] = {}
        for channel in channels:
            symbol, _, venue = channel.symbol.rpartition("@")
            subject = self._bus.subjects.bar(channel.timeframe, venue, symbol)
            by_subject.setdefault(subject, []).append(channel)
        states: _BarStates = {}
        read = 0
        try:
            async with StreamReplay(self._bus, BARS, list(by_subject), stream_seq_of(since) + 1) as replay:
                if replay.first_seq > stream_seq_of(since) + 1:
                    raise TooOldError("since_too_old")
                while messages := await replay.next():
                    read += len(messages)
                    if read > self._most:
                        raise TooOldError("too_much_missed")
                    for message in messages:
                        bar = readable_bar(message.data, message.subject, message.seq)
                        if bar is None:
                            continue
                        for channel in by_subject[message.subject]:
                            if not self._is_outdated(bar, channel):
                                _note(states, channel, position(message.seq), bar)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.warning("resume_from_stream_failed", error=repr(error))
            raise TooOldError("stream_unavailable") from None
        return states

    def _is_outdated(self, bar: Bar, channel: Channel) -> bool:
        """Whether memory holds a newer state: that one was or will be handed out, and this one not after it."""
        symbol, _, venue = channel.symbol.rpartition("@")
        ring = self._memory.bars_of(self._memory.of(venue, symbol), bar.timeframe)
        held = ring.between(bar.ts_ns, bar.ts_ns + 1)
        return bool(held) and is_newer(held[0], bar)


def _note(states: _BarStates, channel: Channel, seq: int, bar: Bar) -> None:
    """Keep a bar unless the same or a newer state of its interval is there, as for live bars."""
    known = states.get((channel.topic, bar.ts_ns))
    if known is None or is_newer(bar, known[1]):
        states[channel.topic, bar.ts_ns] = (seq, bar, channel)
