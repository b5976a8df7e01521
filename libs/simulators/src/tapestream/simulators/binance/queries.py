"""What the trade endpoints return. Pure reads of a market's past.

USD-M leaves insurance-fund and ADL trades out everywhere; they keep their ids, so lists have holes.
"""

from __future__ import annotations

from tapestream.simulators.binance.errors import BadCombinationError
from tapestream.simulators.binance.rows import AggTrades, aggregate
from tapestream.simulators.market import MS_NS, TradeLog, Trades, join_trades

_HOUR_NS = 3_600_000 * MS_NS
_SLACK = 16
_SLICE_NS = 120_000 * MS_NS


def recent_trades(log: TradeLog, limit: int) -> Trades:
    last = log.last_id()
    if last < 0:
        return join_trades(())
    trades = log.ids(last - limit - _SLACK, last).ordinary()
    return trades.rows(slice(max(0, len(trades) - limit), None))


def trades_from(log: TradeLog, from_id: int, limit: int) -> Trades:
    """Up to ``limit`` published trades with ids from ``from_id``, which may lie before the first."""
    from_id = max(from_id, _first_id(log))
    trades = log.ids(from_id, from_id + limit + _SLACK - 1).ordinary()
    return trades.rows(slice(0, limit))


def _first_id(log: TradeLog) -> int:
    start = log.start_ns()
    first = log.between(start, start + _SLICE_NS)
    return int(first.ids[0]) if len(first) else 0


def aggs_from(log: TradeLog, from_id: int, limit: int) -> AggTrades:
    start = log.start_ns()
    first = aggregate(log.between(start, start + _SLICE_NS))
    from_id = max(from_id, int(first.agg[0]) if len(first) else 0)
    return aggregate(log.aggs(from_id, from_id + limit - 1))


def recent_aggs(log: TradeLog, limit: int) -> AggTrades:
    last = log.last_agg()
    return aggregate(log.aggs(last - limit + 1, last) if last >= 0 else join_trades(()))


def aggs_between(
    log: TradeLog, start_ms: int | None, end_ms: int | None, limit: int, whole_hours: bool
) -> AggTrades:
    """The first ``limit`` aggregates of a span, both ends included.

    With ``whole_hours`` a span over an hour is refused, as USD-M does. With an end only, the last ones.
    """
    if None not in (start_ms, end_ms):
        span_ns = ((end_ms or 0) - (start_ms or 0)) * MS_NS
        if span_ns < 0 or (whole_hours and span_ns > _HOUR_NS):
            raise BadCombinationError
    if start_ms is None and end_ms is not None:
        end_ns = (end_ms + 1) * MS_NS
        trades = log.between(end_ns - _SLICE_NS, end_ns)
        return _cut(log, trades, limit, newest=True)
    start_ns = max((start_ms or 0) * MS_NS, log.start_ns())
    end_ns = (end_ms + 1) * MS_NS if end_ms is not None else start_ns + _HOUR_NS
    parts: list[Trades] = []
    found = 0
    while start_ns < end_ns and found < limit:
        part = log.between(start_ns, min(start_ns + _SLICE_NS, end_ns))
        start_ns += _SLICE_NS
        if len(part):
            parts.append(part)
            found += len(aggregate(part))
        elif (
            log.last_id() < 0
            or not len(log.ids(log.last_id(), log.last_id()))
            or start_ns > int(log.ids(log.last_id(), log.last_id()).ts_ns[-1])
        ):
            break
    return _cut(log, join_trades(parts), limit, newest=False)


def _cut(log: TradeLog, trades: Trades, limit: int, *, newest: bool) -> AggTrades:
    """Whole aggregates: a span may have caught only some fills of its first and last."""
    found = aggregate(trades)
    if not len(found):
        return found
    first, last = int(found.agg[0]), int(found.agg[-1])
    if newest:
        first = max(first, last - limit + 1)
    else:
        last = min(last, first + limit - 1)
    return aggregate(log.aggs(first, last))
