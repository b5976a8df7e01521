"""Recorded frames by column, merged in the order in which they were received."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tapestream.simulators.binance.recording import Payloads, TapeError, read_frames
from tapestream.simulators.binance.streams import Kind, Stream, parse_stream
from tapestream.simulators.binance.symbols import split_symbol
from tapestream.simulators.market import (
    KIND_TEXT,
    MS_NS,
    Instrument,
    InstrumentKey,
    Ints,
    Market,
    Trades,
    empty_trades,
)

_QUOTES_READ = 10_000
"""Best quotes of a symbol that are looked into, to learn its price step."""

_VOTES = 20


class _Event(msgspec.Struct):
    """What is read of an event: names as Binance has them."""

    e: str = ""
    E: int = 0
    T: int = 0
    s: str = ""
    t: int = 0
    p: str = ""
    q: str = ""
    m: bool = False
    M: bool | None = None
    X: str = ""
    a: Any = None
    b: Any = None
    A: Any = None
    B: Any = None
    f: int = 0
    l: int = 0  # noqa: E741
    u: int = 0
    U: int = 0
    pu: int | None = None


@dataclass(slots=True)
class TapeSymbol:
    """One instrument of a tape. Positions count the frames of the merged tape from 0."""

    instrument: Instrument
    trades: Trades
    trade_at: Ints
    """Position of each trade; a later id is never before an earlier one."""
    quote_at: Ints
    book_at: list[int] = field(default_factory=list)
    """Positions of depth events and snapshots."""
    span: dict[Kind, int] = field(default_factory=dict)
    """How far each kind of id moves on when the tape begins anew."""


@dataclass(slots=True)
class Tape:
    """The merged tape by column."""

    recv_ns: Ints
    event_ms: Ints
    """Newest event time so far."""
    stream_of: Ints
    """Index into ``streams``; -1 for a snapshot, which no socket carried."""
    trade_id: Ints
    trade_kind: Ints
    payloads: Payloads
    streams: list[Stream]
    symbols: dict[InstrumentKey, TapeSymbol]
    loop_ns: int
    """What is added to all times when the tape begins anew."""

    def __len__(self) -> int:
        return len(self.payloads)


def load_tape(paths: list[Path]) -> Tape:
    """Read and merge files. Raises TapeError for one that cannot be read or holds no frame."""
    names: list[str] = []
    recv = array("q")
    payloads = Payloads()
    for path in paths:
        before = len(names)
        mapped = payloads.add_file(path)
        symbols: set[str] = set()
        snapshots: list[int] = []
        for frame in read_frames(path, mapped):
            name = frame.stream or _name_of(mapped[frame.start : frame.end], path)
            if name.startswith("!"):
                continue
            if not name:
                snapshots.append(len(names))
            else:
                symbols.add(name.partition("@")[0])
            names.append(sys.intern(name))  # one text for all frames of a stream
            recv.append(frame.recv_ns)
            payloads.add(frame.start, frame.end)
        if len(names) == before:
            raise TapeError(f"TAPE={path}: no frame in it")
        if len(symbols) == 1:  # a snapshot does not say whose it is; a file of one symbol does
            owner = symbols.pop()
            for at in snapshots:
                names[at] = f"{owner}@"
    times = np.array(recv, dtype=np.int64)
    order = np.argsort(times, kind="stable")
    payloads.reorder(order)
    try:
        return _build(times[order], [names[at] for at in order.tolist()], payloads)
    except msgspec.DecodeError as error:
        raise TapeError(f"TAPE={','.join(map(str, paths))}: an event cannot be read ({error})") from None


def _name_of(data: bytes, path: Path) -> str:
    """The stream of a bare event, by its type; empty for what is no event."""
    try:
        event = msgspec.json.decode(data, type=_Event)
    except msgspec.DecodeError as error:
        raise TapeError(f"TAPE={path}: an event cannot be read ({error})") from None
    symbol = event.s.lower()
    if not symbol:
        return ""
    match event.e:
        case "trade" | "aggTrade" | "bookTicker":
            return f"{symbol}@{event.e}"
        case "depthUpdate":
            return f"{symbol}@depth"
        case "24hrTicker":
            return f"{symbol}@ticker"
        case "markPriceUpdate":
            return f"{symbol}@markPrice"
        case "kline":
            return f"{symbol}@kline_{msgspec.json.decode(data)['k']['i']}"
        case "":
            return f"{symbol}@bookTicker"
        case _:
            return f"{symbol}@{event.e}"


def _build(recv: Ints, names: list[str], payloads: Payloads) -> Tape:
    decode = msgspec.json.Decoder(_Event).decode
    markets = _markets(names, payloads)
    streams: list[Stream] = []
    index: dict[str, tuple[_SymbolReader, int, Stream | None]] = {}
    stream_of = np.full(len(names), -1, dtype=np.int64)
    event_ms = np.zeros(len(names), dtype=np.int64)
    trade_id = np.full(len(names), -1, dtype=np.int64)
    trade_kind = np.zeros(len(names), dtype=np.int64)
    readers: dict[str, _SymbolReader] = {}
    for at, name in enumerate(names):
        if not name:
            continue
        found = index.get(name)
        if found is None:
            symbol, _, what = name.partition("@")
            reader = readers.get(symbol)
            if reader is None:
                reader = readers[symbol] = _SymbolReader(InstrumentKey(markets[symbol], symbol.upper()))
            stream = parse_stream(markets[symbol], name) if what else None
            if what and stream is None:
                raise TapeError(f"TAPE: {name!r} is no stream name")
            found = index[name] = (reader, len(streams) if stream else -1, stream)
            if stream:
                streams.append(stream)
        reader, place, stream = found
        if stream is None:
            reader.book_at.append(at)
            continue
        stream_of[at] = place
        kind = stream.kind
        if kind is Kind.BOOK_TICKER and len(reader.quote_at) >= _QUOTES_READ:
            reader.quote_at.append(at)  # by now the steps are known; the last one is read at the end
            continue
        event = decode(payloads[at]) if kind is not Kind.UNKNOWN else None
        if event is not None:
            event_ms[at] = event.E or event.T
            reader.read(at, kind, event)
            if kind is Kind.TRADE:
                trade_id[at], trade_kind[at] = event.t, _kind_of(event)
    for reader in readers.values():
        if len(reader.quote_at) > _QUOTES_READ:
            last_update = decode(payloads[reader.quote_at[-1]]).u
            reader.update(Kind.BOOK_TICKER, last_update, last_update)
    event_ms = np.maximum.accumulate(event_ms)
    event_ms[event_ms == 0] = recv[0] // MS_NS
    last = int(recv[-1] - recv[0])
    loop_ns = max(last + last // max(len(recv) - 1, 1), int(event_ms[-1] - event_ms[0]) * MS_NS) + MS_NS
    # Recorded candles must begin on their minute in every round.
    unit = 60_000 * MS_NS if any(stream.kind is Kind.KLINE for stream in streams) else MS_NS
    loop_ns = -(-loop_ns // unit) * unit
    symbols = {reader.key: reader.finish() for reader in readers.values()}
    return Tape(recv, event_ms, stream_of, trade_id, trade_kind, payloads, streams, symbols, loop_ns)


def _markets(names: list[str], payloads: Payloads) -> dict[str, Market]:
    """The market of each symbol, by fields that only one of them has."""
    votes: dict[str, Counter[Market]] = {}
    settled = {""}
    for at, name in enumerate(names):
        if name in settled:
            continue
        symbol, _, what = name.partition("@")
        vote = votes.setdefault(symbol, Counter())
        if sum(vote.values()) >= _VOTES:
            settled.add(name)
            continue
        data = payloads[at]
        if what in ("trade", "aggTrade"):
            vote[Market.SPOT if b'"M":' in data else Market.USDM] += 1
        elif what == "bookTicker":
            vote[Market.USDM if b'"e":' in data else Market.SPOT] += 1
        elif what.startswith("depth"):
            vote[Market.USDM if b'"pu":' in data else Market.SPOT] += 1
    return {symbol: max(vote, key=vote.__getitem__, default=Market.USDM) for symbol, vote in votes.items()}


def _kind_of(event: _Event) -> int:
    """Any kind of trade but an ordinary one is left out of REST and of candles."""
    if not event.X or event.X == "MARKET":
        return 0
    return KIND_TEXT.index(event.X) if event.X in KIND_TEXT else 1


class _SymbolReader:
    """Gathers one symbol's columns."""

    def __init__(self, key: InstrumentKey) -> None:
        self.key = key
        self.rows: list[tuple[int, int, int, str, str, bool, int, int]] = []
        self.agg_rows: list[tuple[int, int, int, str, str, bool, int, int]] = []
        self.quote_at: list[int] = []
        self.book_at: list[int] = []
        self.prices: set[str] = set()
        self.quantities: set[str] = set()
        self.updates: dict[Kind, tuple[int, int]] = {}
        self.first_fill = 0

    def read(self, at: int, kind: Kind, event: _Event) -> None:
        if kind is Kind.TRADE:
            self.rows.append((event.t, at, event.T, event.p, event.q, event.m, _kind_of(event), -1))
        elif kind is Kind.AGG_TRADE:
            self.first_fill = self.first_fill or event.f
            self.agg_rows.append((event.l, at, event.T, event.p, event.q, event.m, 0, event.a))
        elif kind is Kind.BOOK_TICKER:
            self.quote_at.append(at)
            self.update(kind, event.u, event.u)
            self.prices.update((event.b, event.a))
            self.quantities.update((event.B, event.A))
        elif kind is Kind.DEPTH:
            self.book_at.append(at)
            self.update(kind, event.U if event.pu is None else event.pu + 1, event.u)
        if event.p and kind in (Kind.TRADE, Kind.AGG_TRADE):
            self.prices.add(event.p)
            self.quantities.add(event.q)

    def update(self, kind: Kind, first: int, last: int) -> None:
        self.updates[kind] = (self.updates.get(kind, (first, last))[0], last)

    def finish(self) -> TapeSymbol:
        base, quote = split_symbol(self.key.symbol)
        prices, price_decimals, tick = _counted(self.prices)
        quantities, qty_decimals, lot = _counted(self.quantities)
        instrument = Instrument(self.key, base, quote, price_decimals, tick, qty_decimals, lot)
        trades, at = self._trades(prices, quantities)
        span = {kind: last - first + 1 for kind, (first, last) in self.updates.items()}
        if len(trades):
            first_id = int(trades.ids[0]) if self.rows else self.first_fill
            span[Kind.TRADE] = int(trades.ids[-1]) - first_id + 1
            span[Kind.AGG_TRADE] = int(trades.agg[-1] - trades.agg[0]) + 1
        quote_at = np.array(self.quote_at, dtype=np.int64)
        return TapeSymbol(instrument, trades, at, quote_at, sorted(self.book_at), span)

    def _trades(self, prices: dict[str, int], quantities: dict[str, int]) -> tuple[Trades, Ints]:
        """Trades by id, each once. Without trade frames an aggregate stands for its trades."""
        rows = sorted(self.rows or self.agg_rows)
        if not rows:
            return empty_trades(), np.empty(0, dtype=np.int64)
        ids = np.array([row[0] for row in rows], dtype=np.int64)
        keep = np.append(True, np.diff(ids) > 0)
        rows = [row for row, kept in zip(rows, keep.tolist(), strict=True) if kept]
        at = np.maximum.accumulate(np.array([row[1] for row in rows], dtype=np.int64))
        trades = Trades(
            ids[keep],
            np.array([row[2] for row in rows], dtype=np.int64) * MS_NS,
            np.array([prices[row[3]] for row in rows], dtype=np.int64),
            np.array([quantities[row[4]] for row in rows], dtype=np.int64),
            np.array([row[5] for row in rows], dtype=np.bool_),
            np.array([row[6] for row in rows], dtype=np.int64),
            np.array([row[7] for row in rows], dtype=np.int64),
        )
        if self.rows:
            trades.agg[:] = aggregate_ids(trades)
        return trades, at


def aggregate_ids(trades: Trades) -> NDArray[np.int64]:
    """Number fills of one order alike: adjoining, same price, side and time; the first id is 1."""
    same = (
        (np.diff(trades.ts_ns) == 0)
        & (np.diff(trades.ticks) == 0)
        & (trades.buyer_maker[1:] == trades.buyer_maker[:-1])
        & (trades.kind[:-1] == 0)
    )
    begins = np.append(True, ~same) & (trades.kind == 0)
    return np.maximum(np.cumsum(begins), 1).astype(np.int64)


def _counted(texts: set[str]) -> tuple[dict[str, int], int, int]:
    """Decimal texts as multiples of their common step: the multiples, the decimals, the step."""
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    units = {text: _units(text, decimals) for text in texts}
    step = int(np.gcd.reduce(np.array(list(units.values()), dtype=np.int64))) if units else 1
    step = step or 1
    return {text: value // step for text, value in units.items()}, decimals, step


def _units(text: str, decimals: int) -> int:
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(decimals, "0"))
