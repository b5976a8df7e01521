"""Stored trades, bars and signals of a period, page by page, as the messages that they once were."""

from __future__ import annotations

from typing import Any, Protocol

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from tapestream.alerts.core.evaluator import Evaluator
from tapestream.common.contracts.alerts import ConditionSpec
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Bar, BarSource, TradeBatch, TradeKind
from tapestream.common.contracts.signals import PairSignal
from tapestream.common.contracts.timeframes import timeframe_ns

PAGE = 5000
ALWAYS = 1 << 62
"""A stored time behind any rule's beginning."""
_NS = "(extract(epoch FROM ts) * 1000000)::int8 * 1000"
_PERIOD = """ts >= to_timestamp(0) + :start_us * interval '1 microsecond'
    AND ts < to_timestamp(0) + :end_us * interval '1 microsecond'"""
_TRADES = f"""SELECT id, {_NS} AS ts_ns, price, kind FROM trades
    WHERE instrument_id = :instrument AND id > :after AND {_PERIOD} ORDER BY id LIMIT {PAGE}"""  # noqa: S608
_BARS = f"""SELECT {_NS} AS ts_ns, open, high, low, close, volume, source FROM bars
    WHERE instrument_id = :instrument AND timeframe = :timeframe AND {_PERIOD}
    ORDER BY ts LIMIT {PAGE}"""  # noqa: S608
_SIGNALS = f"""SELECT {_NS} AS ts_ns, price_a, price_b, hedge_ratio, intercept, spread, zscore, correlation,
    adf_statistic, adf_pvalue, half_life_bars FROM signals
    WHERE venue_a = :venue_a AND symbol_a = :symbol_a AND venue_b = :venue_b AND symbol_b = :symbol_b
    AND timeframe = :timeframe AND window_bars = :window AND method = :method AND {_PERIOD}
    ORDER BY ts LIMIT {PAGE}"""  # noqa: S608
_CLOSES = f"""SELECT {_NS}, close FROM bars WHERE instrument_id = :instrument AND timeframe = :timeframe
    AND ts < to_timestamp(0) + :start_us * interval '1 microsecond' ORDER BY ts DESC LIMIT :limit"""  # noqa: S608
_KINDS = {int(kind): kind.name for kind in TradeKind}

Head = tuple[int, int]
"""Time of an event, and a rank that puts bars and signals ahead of trades of the same time."""


class Feed(Protocol):
    """Events of one source, in order."""

    head: Head | None
    """Of the next event; None where :meth:`fill` has not found one."""
    last_ns: int | None
    """Time of the last event that was taken; None before the first."""

    async def fill(self) -> None:
        """Read the next page."""
        ...

    def take(self, evaluator: Evaluator, until: Head | None, most: int) -> int:
        """Show events before ``until`` to the evaluator; returns how many."""
        ...


async def instrument_id(connection: AsyncConnection, of: str) -> int | None:
    """Number of an instrument in the tables; None where nothing of it is stored."""
    name = InstrumentName.parse(of, "")
    query = sa.text("SELECT id FROM instruments WHERE venue = :venue AND symbol = :symbol")
    return (await connection.execute(query, {"venue": name.venue, "symbol": name.symbol})).scalar()


async def has_signals(connection: AsyncConnection) -> bool:
    """Whether analytics has made its table."""
    return (await connection.execute(sa.text("SELECT to_regclass('signals')"))).scalar() is not None


class _Paged:
    """Rows of a query, whose first column after the key is their time."""

    rank = 0

    def __init__(
        self, connection: AsyncConnection, query: str, values: dict[str, Any], shift_ns: int
    ) -> None:
        self._connection, self._query, self._values = connection, query, values
        self._shift_ns = shift_ns
        """From a row's time to that of its event: a bar is known at its end."""
        self._rows: list[Any] = []
        self._at = 0
        self.head: Head | None = None
        self.last_ns: int | None = None

    async def fill(self) -> None:
        self._rows = list((await self._connection.execute(sa.text(self._query), self._values)).all())
        self._at = 0
        if self._rows:
            self._page_after(self._rows[-1])
        self._look()

    def take(self, evaluator: Evaluator, until: Head | None, most: int) -> int:
        first = self._at
        while self.head is not None and self._at - first < most:
            if until is not None and self.head >= until and self._at > first:
                break
            self._at += 1
            self._look()
        taken = self._rows[first : self._at]
        if taken:
            self.last_ns = taken[-1].ts_ns + self._shift_ns
        self._show(evaluator, taken)
        return self._at - first

    def _look(self) -> None:
        if self._at < len(self._rows):
            self.head = (self._rows[self._at].ts_ns + self._shift_ns, self.rank)
        else:
            self.head = None

    def _page_after(self, row: Any) -> None:
        self._values["start_us"] = row.ts_ns // 1000 + 1

    def _show(self, evaluator: Evaluator, rows: list[Any]) -> None:
        raise NotImplementedError


class TradeFeed(_Paged):
    """Trades by id."""

    rank = 1

    def __init__(self, connection: AsyncConnection, number: int, of: str, start_ns: int, end_ns: int) -> None:
        values = {"instrument": number, "after": -1, **_period(start_ns, end_ns)}
        super().__init__(connection, _TRADES, values, 0)
        self._name = InstrumentName.parse(of, "")

    def _page_after(self, row: Any) -> None:
        self._values["after"] = row.id

    def _show(self, evaluator: Evaluator, rows: list[Any]) -> None:
        batch = TradeBatch(
            venue=self._name.venue,
            symbol=self._name.symbol,
            recv_ns=0,
            prev_id=-1,
            id=[row.id for row in rows],
            ts_ns=[row.ts_ns for row in rows],
            price=[row.price for row in rows],
            qty=[],
            buyer_maker=[],
            kind=[_KINDS.get(row.kind, "OTHER") for row in rows] if any(row.kind for row in rows) else UNSET,
        )
        evaluator.on_trades(batch, ALWAYS)


class BarFeed(_Paged):
    """Complete bars, known at their end. Those that trades did not make count as closes of the past only."""

    def __init__(
        self, connection: AsyncConnection, number: int, one: ConditionSpec, start_ns: int, end_ns: int
    ) -> None:
        self._length_ns, self._timeframe = timeframe_ns(one.timeframe), one.timeframe
        values = _period(start_ns - self._length_ns, end_ns - self._length_ns)
        super().__init__(
            connection,
            _BARS,
            {"instrument": number, "timeframe": one.timeframe, **values},
            self._length_ns,
        )
        self._name = InstrumentName.parse(one.of, "")
        self._before = {"instrument": number, "timeframe": one.timeframe, "start_us": values["start_us"]}

    async def closes_before(self, count: int) -> list[tuple[int, float]]:
        """Start and close of the bars before the period."""
        found = await self._connection.execute(sa.text(_CLOSES), self._before | {"limit": count})
        return [(ts_ns, close) for ts_ns, close in found.all()]

    def _show(self, evaluator: Evaluator, rows: list[Any]) -> None:
        for row in rows:
            bar = Bar(
                venue=self._name.venue,
                symbol=self._name.symbol,
                timeframe=self._timeframe,
                ts_ns=row.ts_ns,
                open=row.open,
                high=row.high,
                low=row.low,
                close=row.close,
                volume=row.volume,
                quote_volume=0.0,
                buy_volume=0.0,
                trades=0,
                first_id=0,
                last_id=0,
                complete=True,
                source=BarSource(row.source),
            )
            evaluator.on_bar(bar, ALWAYS)


class SignalFeed(_Paged):
    """Figures of a pair at complete bars, known at the end of the bar."""

    def __init__(self, connection: AsyncConnection, one: ConditionSpec, start_ns: int, end_ns: int) -> None:
        length_ns = timeframe_ns(one.timeframe)
        a, b = (InstrumentName.parse(part, "") for part in one.of.split(","))
        self._fixed: dict[str, Any] = {
            "venue_a": a.venue,
            "symbol_a": a.symbol,
            "venue_b": b.venue,
            "symbol_b": b.symbol,
            "timeframe": one.timeframe,
            "window": one.window,
            "method": one.method,
        }
        period = _period(start_ns - length_ns, end_ns - length_ns)
        super().__init__(connection, _SIGNALS, self._fixed | period, length_ns)

    def _show(self, evaluator: Evaluator, rows: list[Any]) -> None:
        for row in rows:
            signal = PairSignal(**self._fixed, complete=True, **row._mapping)
            evaluator.on_pair(signal, ALWAYS)


def _period(start_ns: int, end_ns: int) -> dict[str, int]:
    """A start is included, an end is not; both are rounded up to the microsecond of the tables."""
    return {"start_us": -(-start_ns // 1000), "end_us": -(-end_ns // 1000)}
