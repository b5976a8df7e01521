"""What a simulated market is made of: instruments, trades by column, quotes, and where they come from.

Prices are counted in ticks and quantities in lots, both integers, so that sums are exact; text in the
venue's own form is made at the rim by :class:`Instrument`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tapestream.simulators.candles import Candles

MS_NS = 1_000_000
MINUTE_NS = 60_000_000_000

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Market(StrEnum):
    """Binance's two markets that are simulated."""

    SPOT = "spot"
    USDM = "usdm"


class InstrumentKey(NamedTuple):
    """An instrument's name: the same symbol is another instrument on the other market."""

    market: Market
    symbol: str


ORDINARY, INSURANCE_FUND, ADL = 0, 1, 2
"""Kinds of trade. Only ordinary ones are published over REST and counted in candles."""

KIND_TEXT = ("MARKET", "INSURANCE_FUND", "ADL")
"""A kind of trade as the ``X`` of a USD-M trade frame."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """A symbol with its steps. A step is an integer in units of the last decimal of the text form."""

    key: InstrumentKey
    base: str
    quote: str
    price_decimals: int
    tick: int
    qty_decimals: int
    lot: int

    @property
    def symbol(self) -> str:
        return self.key.symbol

    @property
    def market(self) -> Market:
        return self.key.market

    def price_text(self, ticks: int) -> str:
        return decimal_text(ticks * self.tick, self.price_decimals)

    def qty_text(self, lots: int) -> str:
        return decimal_text(lots * self.lot, self.qty_decimals)

    def notional_text(self, ticks_times_lots: int) -> str:
        """Price times quantity; spot cuts it to eight decimals as Binance does."""
        units = ticks_times_lots * self.tick * self.lot
        decimals = self.price_decimals + self.qty_decimals
        if self.market is Market.SPOT:
            units //= 10 ** (decimals - 8)
            decimals = 8
        return decimal_text(units, decimals)


def decimal_text(units: int, decimals: int) -> str:
    """``decimal_text(6180030, 2) == "61800.30"``."""
    if not decimals:
        return str(units)
    if units < 0:
        return "-" + decimal_text(-units, decimals)
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one instrument by column, in the order of their ids."""

    ids: Ints
    ts_ns: Ints
    ticks: Ints
    lots: Ints
    buyer_maker: Bools
    kind: Ints
    agg: Ints
    """Id of the aggregate trade that a trade belongs to; meaningless for kinds but the ordinary."""

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, chosen: slice | Ints | Bools) -> Trades:
        return Trades(
            self.ids[chosen],
            self.ts_ns[chosen],
            self.ticks[chosen],
            self.lots[chosen],
            self.buyer_maker[chosen],
            self.kind[chosen],
            self.agg[chosen],
        )

    def ordinary(self) -> Trades:
        """Without insurance-fund and auto-deleveraging trades."""
        return self.rows(self.kind == ORDINARY) if self.kind.any() else self


def empty_trades() -> Trades:
    none = np.empty(0, dtype=np.int64)
    return Trades(none, none, none, none, np.empty(0, dtype=np.bool_), none, none)


def join_trades(parts: Iterable[Trades]) -> Trades:
    found = [part for part in parts if len(part)]
    if not found:
        return empty_trades()
    if len(found) == 1:
        return found[0]
    return Trades(
        np.concatenate([part.ids for part in found]),
        np.concatenate([part.ts_ns for part in found]),
        np.concatenate([part.ticks for part in found]),
        np.concatenate([part.lots for part in found]),
        np.concatenate([part.buyer_maker for part in found]),
        np.concatenate([part.kind for part in found]),
        np.concatenate([part.agg for part in found]),
    )


class Quote(NamedTuple):
    """Best bid and ask, as text in the venue's form."""

    update_id: int
    ts_ms: int
    bid: str
    bid_qty: str
    ask: str
    ask_qty: str


class Book(NamedTuple):
    """An order book, best prices first, as text in the venue's form."""

    update_id: int
    ts_ms: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class TradeLog(Protocol):
    """The trades of one instrument as far as the market's clock has come; never the future."""

    @property
    def instrument(self) -> Instrument: ...

    def last_id(self) -> int:
        """Id of the newest trade, or -1 before the first."""
        ...

    def last_agg(self) -> int:
        """Id of the newest aggregate trade, or -1 before the first."""
        ...

    def ids(self, first: int, last: int) -> Trades:
        """Trades with ids from ``first`` to ``last``, both included."""
        ...

    def aggs(self, first: int, last: int) -> Trades:
        """Trades of the aggregate trades from ``first`` to ``last``, both included."""
        ...

    def between(self, start_ns: int, end_ns: int) -> Trades:
        """Trades with ``start_ns <= ts_ns < end_ns``."""
        ...

    def start_ns(self) -> int:
        """Event time before which there is no trade."""
        ...


class MarketSource(Protocol):
    """A market that can be asked about its past; the seeded one and a tape are alike here."""

    @property
    def logs(self) -> Mapping[InstrumentKey, TradeLog]: ...

    def now_ns(self) -> int:
        """The market's own time."""
        ...

    def quote(self, key: InstrumentKey) -> Quote | None: ...

    def book(self, key: InstrumentKey, levels: int) -> Book: ...

    def candles(self, key: InstrumentKey, interval: str, start_ms: int, end_ms: int) -> Candles:
        """Candles that open from ``start_ms`` up to ``end_ms``, both included."""
        ...

    def window(self, key: InstrumentKey, minutes: int) -> Candles:
        """The last so many minutes and the current one in pieces, to be seen as one candle."""
        ...
