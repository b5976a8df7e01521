"""The seeded market: trades and quotes as a pure function of (seed, instrument, minute).

Every minute holds the same number of trades, so a trade's id follows from its minute and a process
that was killed goes on where the clock is, with contiguous ids. A minute's open, high, low, close and
volume are drawn first (:class:`MinuteShapes`, cheap for years of minutes), then trades that have just
these (:class:`MinuteBlock`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tapestream.simulators.market import (
    ADL,
    INSURANCE_FUND,
    MINUTE_NS,
    ORDINARY,
    Bools,
    Instrument,
    Ints,
    Market,
    Trades,
)
from tapestream.simulators.noise import Floats, exponential, make_key, normal, sub_key, uniform, wander

ANCHOR_MINUTE = 1_483_228_800 // 60
"""Minute of id 1: 2017-01-01T00:00:00Z. Nothing was traded before."""

BOOK_UPDATES_PER_TRADE = 3
_UNPUBLISHED_ONE_IN = 1500
_CHUNK_MINUTES = 128
_COMMON_OCTAVES, _OWN_OCTAVES, _BASIS_OCTAVES = 18, 8, 5


@dataclass(frozen=True, slots=True)
class Character:
    """How an instrument behaves."""

    price: float
    """Price that the paths wander around."""
    trades_per_minute: int
    beta: float
    """How much of the market's common move it takes part in."""
    mean_lots: float
    """Average quantity of a trade in lots."""
    common_sigma: float = 4.5e-4
    """Standard deviation per minute of the common factor, as a fraction of price."""
    own_sigma: float = 3.0e-4


@dataclass(frozen=True, slots=True)
class MinuteShapes:
    """Outlines of minutes, one row each; prices are the bid in ticks."""

    minute: Ints
    open_bid: Ints
    close_bid: Ints
    high_bid: Ints
    low_bid: Ints
    first_side: Ints
    last_side: Ints
    """1 where the trade takes the ask, 0 where it hits the bid."""
    lots: Ints
    unpublished: Bools
    """Whether one trade of the minute is an insurance-fund or auto-deleveraging one."""


@dataclass(frozen=True, slots=True)
class MinuteBlock:
    """All trades of a minute, and the bid under each order."""

    trades: Trades
    order_ts_ns: Ints
    order_bid: Ints
    order_size: Ints
    """Trades per taker order."""
    open_bid: int


@dataclass(frozen=True, slots=True)
class BookUpdates:
    """Best quotes of a minute by column, in ticks and lots."""

    update_id: Ints
    ts_ns: Ints
    bid: Ints
    bid_lots: Ints
    ask_lots: Ints


class SeededInstrument:
    """Draws one instrument's minutes. Holds caches and nothing else."""

    def __init__(self, seed: int, instrument: Instrument, character: Character) -> None:
        self.instrument, self.character = instrument, character
        self.trades_per_minute = max(6, character.trades_per_minute)
        self.orders_per_minute = max(4, self.trades_per_minute * 7 // 10)
        market, symbol = instrument.key
        self._common = make_key(seed, "common")
        self._own = make_key(seed, "own", symbol)
        self._basis = make_key(seed, "basis", symbol, market)
        self._key = make_key(seed, "trades", symbol, market)
        self._tick_value = instrument.tick / 10**instrument.price_decimals
        self.block = lru_cache(maxsize=256)(self._block)
        self._chunk = lru_cache(maxsize=64)(lambda chunk: self.shapes(chunk * _CHUNK_MINUTES, _CHUNK_MINUTES))
        self.book_updates = lru_cache(maxsize=64)(self._book_updates)

    def bid_ticks(self, minute: Ints) -> Ints:
        """The bid at the start of minutes."""
        own = self.character.own_sigma * wander(self._own, minute, _OWN_OCTAVES)
        common = self.character.common_sigma * wander(self._common, minute, _COMMON_OCTAVES)
        basis = 3e-5 * wander(self._basis, minute, _BASIS_OCTAVES)
        price = self.character.price * exponential(self.character.beta * common + own + basis)
        return np.maximum((price / self._tick_value).astype(np.int64), 20)

    def shapes(self, first: int, count: int) -> MinuteShapes:
        """Outlines of ``count`` minutes from minute ``first`` (minutes since 1970)."""
        minute = np.arange(first, first + count + 1, dtype=np.int64)
        bid = self.bid_ticks(minute)
        minute, opened, closed = minute[:-1], bid[:-1], bid[1:]
        sigma_ticks = self.character.common_sigma * self.character.price / self._tick_value
        above = (sigma_ticks * uniform(self._key ^ 1, minute) ** 2).astype(np.int64) + 1
        below = (sigma_ticks * uniform(self._key ^ 2, minute) ** 2).astype(np.int64) + 1
        size = self.character.mean_lots - 1.0
        activity = 0.4 + 1.2 * uniform(self._key ^ 3, minute)
        extra = (self.trades_per_minute * size * activity).astype(np.int64)
        return MinuteShapes(
            minute,
            opened,
            closed,
            np.maximum(opened, closed) + above,
            np.maximum(np.minimum(opened, closed) - below, 10),
            (uniform(self._key ^ 4, minute) < 0.5).astype(np.int64),
            (uniform(self._key ^ 5, minute) < 0.5).astype(np.int64),
            self.trades_per_minute + extra,
            self._has_unpublished(minute),
        )

    def _shape(self, minute: int) -> MinuteShapes:
        """One minute's outline, out of a cached stretch: the noise costs the same for one and for many."""
        chunk, at = divmod(minute, _CHUNK_MINUTES)
        shapes = self._chunk(chunk)
        return MinuteShapes(*(getattr(shapes, field)[at : at + 1] for field in MinuteShapes.__slots__))

    def _has_unpublished(self, minute: Ints) -> Bools:
        if self.instrument.market is Market.SPOT:
            return np.zeros(len(minute), dtype=np.bool_)
        return uniform(self._key ^ 6, minute) < self.trades_per_minute / _UNPUBLISHED_ONE_IN

    def first_id(self, minute: int) -> int:
        """Id of a minute's first trade; the ids of a minute and the next adjoin."""
        return (minute - ANCHOR_MINUTE) * self.trades_per_minute + 1

    def minute_of_id(self, trade_id: int) -> int:
        return ANCHOR_MINUTE + (trade_id - 1) // self.trades_per_minute

    def first_agg(self, minute: int) -> int:
        return (minute - ANCHOR_MINUTE) * self.orders_per_minute + 1

    def minute_of_agg(self, agg_id: int) -> int:
        return ANCHOR_MINUTE + (agg_id - 1) // self.orders_per_minute

    def _block(self, minute: int) -> MinuteBlock:
        shape = self._shape(minute)
        trades, orders = self.trades_per_minute, self.orders_per_minute
        key = sub_key(self._key, minute)
        order = np.arange(orders, dtype=np.int64)

        gaps = uniform(key ^ 11, np.arange(orders + 1, dtype=np.int64)) ** 4 + 0.002
        reach = np.cumsum(gaps)
        order_ts = minute * MINUTE_NS + (reach[:-1] / reach[-1] * MINUTE_NS).astype(np.int64)

        bid, marks = self._bid_path(shape, key)
        side = self._sides(shape, key, bid, marks)
        sizes = 1 + _share_out(trades - orders, uniform(key ^ 12, order) ** 6 + 1e-6)

        of_order = np.repeat(order, sizes)
        kind = np.zeros(trades, dtype=np.int64)
        ticks = (bid + side)[of_order]
        lots = np.ones(trades, dtype=np.int64)
        weights = 1.0 / (0.03 + uniform(key ^ 13, np.arange(trades, dtype=np.int64)))
        if shape.unpublished[0]:
            # The last fill of the largest order, which has other fills: so every aggregate trade has some.
            odd = int(np.cumsum(sizes)[int(np.argmax(sizes))]) - 1
            kind[odd] = INSURANCE_FUND if key & 1 else ADL
            away = int(ticks[odd]) * 3 // 1000 + 2
            ticks[odd] += away if key & 2 else -away
            weights[odd] = 0.0
            lots[odd] = 1 + int(self.character.mean_lots * 4)
        published = int(np.count_nonzero(kind == ORDINARY))
        lots += _share_out(int(shape.lots[0]) - published, weights)
        return MinuteBlock(
            Trades(
                self.first_id(minute) + np.arange(trades, dtype=np.int64),
                order_ts[of_order],
                ticks,
                lots,
                side[of_order] == 0,
                kind,
                self.first_agg(minute) + of_order,
            ),
            order_ts,
            bid,
            sizes,
            int(shape.open_bid[0]),
        )

    def _bid_path(self, shape: MinuteShapes, key: int) -> tuple[Ints, tuple[int, int]]:
        """The bid under each order: a noisy bridge through open, both extremes and close.

        Returns it with the orders at the high and at the low.
        """
        orders = self.orders_per_minute
        opened, closed = int(shape.open_bid[0]), int(shape.close_bid[0])
        high, low = int(shape.high_bid[0]), int(shape.low_bid[0])
        draw = uniform(key ^ 14, np.arange(2, dtype=np.int64))
        early = 1 + int(draw[0] * (orders - 3))
        late = early + 1 + int(draw[1] * (orders - 2 - early))
        first, second = (high, low) if key & 4 else (low, high)
        at = np.array([0, early, late, orders - 1], dtype=np.float64)
        level = np.array([opened, first, second, closed], dtype=np.float64)
        step = np.arange(orders, dtype=np.float64)
        index = np.arange(orders, dtype=np.int64)
        # Most orders leave the price alone, as on a real tape.
        steps = normal(key ^ 15, index) * (uniform(key ^ 19, index) < 0.3)
        walk = np.cumsum(steps) * 1.2 * (high - low) / float(orders) ** 0.5
        bridge = walk - np.interp(step, at, walk[at.astype(np.int64)])
        bid = np.clip(np.rint(np.interp(step, at, level) + bridge).astype(np.int64), low, high)
        bid[[0, early, late, orders - 1]] = (opened, first, second, closed)
        return bid, ((early, late) if first == high else (late, early))

    def _sides(self, shape: MinuteShapes, key: int, bid: Ints, marks: tuple[int, int]) -> Ints:
        """1 where an order takes the ask: in runs, and with the price where it moves."""
        flips = uniform(key ^ 16, np.arange(self.orders_per_minute, dtype=np.int64)) < 0.35
        side = (np.cumsum(flips) + (key >> 3)) % 2
        side = side.astype(np.int64)
        moved = np.diff(bid, prepend=bid[0])
        side[moved > 0] = 1
        side[moved < 0] = 0
        side[0], side[-1] = shape.first_side[0], shape.last_side[0]
        side[marks[0]], side[marks[1]] = 1, 0
        return side

    def first_update(self, minute: int) -> int:
        """Id of a minute's first book update."""
        return (minute - ANCHOR_MINUTE) * self.trades_per_minute * BOOK_UPDATES_PER_TRADE + 1

    def _book_updates(self, minute: int) -> BookUpdates:
        """Quotes on the way from each order's bid to the next; the last before an order is its own."""
        block = self.block(minute)
        counts = block.order_size * BOOK_UPDATES_PER_TRADE
        total = int(counts.sum())
        of_order = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        step = np.arange(total, dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        before_ts = np.concatenate(([minute * MINUTE_NS], block.order_ts_ns[:-1]))
        before_bid = np.concatenate(([block.open_bid], block.order_bid[:-1]))
        count = counts[of_order]
        ts = before_ts[of_order] + (block.order_ts_ns - before_ts)[of_order] * step // (count + 1)
        bid = before_bid[of_order] + (block.order_bid - before_bid)[of_order] * step // count
        key = sub_key(self._key ^ 17, minute)
        index = np.arange(total, dtype=np.int64)
        bid_lots, ask_lots = self._depth_lots(uniform(key, index)), self._depth_lots(uniform(key ^ 1, index))
        last = np.cumsum(counts) - 1
        traded = np.add.reduceat(block.trades.lots, np.cumsum(block.order_size) - block.order_size)
        bid_lots[last] = np.maximum(bid_lots[last], traded)
        ask_lots[last] = np.maximum(ask_lots[last], traded)
        return BookUpdates(self.first_update(minute) + index, ts, bid, bid_lots, ask_lots)

    def _depth_lots(self, draw: Floats) -> Ints:
        return 1 + (self.character.mean_lots * 3.0 * draw / (1.02 - draw)).astype(np.int64)

    def level_lots(self, ticks: Ints, update_id: int) -> Ints:
        """Quantity that rests at prices as of a book update; each price is renewed in its own turn."""
        turn = (update_id // 24 + (ticks * 7919) % 64) // 64
        return self._depth_lots(uniform(self._key ^ 18, ticks * 1_000_003 + turn))


def _share_out(total: int, weights: Floats) -> Ints:
    """Whole parts of ``total``, in proportion to ``weights``, that sum to it exactly."""
    reach = np.cumsum(weights)
    border = (reach / reach[-1] * total).astype(np.int64)
    border[-1] = total
    return np.diff(border, prepend=0)
