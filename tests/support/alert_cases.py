"""Random rules and recorded prices, for the alerts' tests."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Sequence
from typing import Any

import msgspec

from tapestream.alerts.core.machine import Rule
from tapestream.alerts.registry import all_metrics
from tapestream.common.contracts.alerts import ConditionSpec, RuleSpec
from tapestream.common.contracts.messages import Bar, TradeBatch
from tests.support.tapes import SHARED

TRADES = {
    f"{symbol}@binance_usdm": SHARED / "b_ticks_klines" / f"derived_{symbol}-trades-2024-08-08.csv.gz"
    for symbol in ("BTCUSDT", "ETHUSDT")
}
VENUE = "binance_usdm"
OPERATORS = (">", "<", ">=", "<=", "==", "crosses_above", "crosses_below")
SECOND = 10**9
Event = tuple[Any, ...]


def recorded(of: str, count: int, skip: int = 0) -> list[Event]:
    """Trades of a recording as events."""
    events: list[Event] = []
    with gzip.open(TRADES[of], "rt") as lines:
        for number, row in enumerate(csv.DictReader(lines)):
            if number >= skip + count:
                break
            if number >= skip:
                events.append(
                    ("trade", of, int(row["id"]), int(row["time"]) * 10**6, float(row["price"]), "MARKET")
                )
    return events


def market(rng: random.Random, count: int, timeframes: Sequence[str] = ("1s", "5s")) -> list[Event]:
    """Trades of both recordings by time, with the clock each second and the bars as they close."""
    skip = rng.randrange(0, 4000)
    trades = sorted((e for of in TRADES for e in recorded(of, count // 2, skip)), key=lambda e: (e[3], e[1]))
    lengths = {tf: int(tf[:-1]) * SECOND for tf in timeframes}
    open_bars: dict[tuple[str, str], list[Any]] = {}
    events: list[Event] = []
    clock = trades[0][3] // SECOND * SECOND
    for read in trades:
        trade = (*read[:5], "INSURANCE_FUND") if rng.random() < 0.003 else read
        ts = trade[3]
        while clock + SECOND <= ts - 50_000_000:
            clock += SECOND
            closed = [key for key in sorted(open_bars) if open_bars[key][3] + lengths[key[1]] <= clock]
            events += [tuple(open_bars.pop(key)) for key in closed]
            events.append(("clock", VENUE, clock))
        for tf, length in lengths.items() if trade[5] == "MARKET" else ():
            start, price = ts // length * length, trade[4]
            bar = open_bars.get((trade[1], tf))
            if bar is not None and bar[3] != start:
                events.append(tuple(open_bars.pop((trade[1], tf))))
                bar = None
            if bar is None:
                open_bars[trade[1], tf] = ["bar", trade[1], tf, start, price, price, price, price, 1.0, 0]
            else:
                bar[5], bar[6], bar[7], bar[8] = max(bar[5], price), min(bar[6], price), price, bar[8] + 1
        events.append(trade)
    return events


def random_spec(rng: random.Random, events: list[Event], metrics: Sequence[str]) -> RuleSpec:
    """A rule about values that occur."""
    start = next(e[3] for e in events if e[0] == "trade")
    return RuleSpec(
        name="any",
        conditions=[random_condition(rng, events, metrics) for _ in range(rng.choice([1, 1, 1, 2, 3]))],
        match=rng.choice(["all", "any"]),
        for_ns=rng.choice([0, 0, 0, 500_000_000, 2 * SECOND, 7 * SECOND]),
        cooldown_ns=rng.choice([0, 0, 300_000_000, 3 * SECOND, 20 * SECOND]),
        once=rng.random() < 0.15,
        expires_ns=start + rng.randrange(1, 40) * SECOND if rng.random() < 0.15 else 0,
    )


def random_condition(rng: random.Random, events: list[Event], metrics: Sequence[str]) -> ConditionSpec:
    metric, of = rng.choice(metrics), rng.choice(list(TRADES))
    timeframe, bars, op = "", 0, rng.choice(OPERATORS)
    prices = [e[4] for e in events if e[0] == "trade" and e[1] == of]
    value, hysteresis = rng.choice(prices), rng.choice([0.0, 0.0, 0.1, 1.3, 8.0])
    if metric == "staleness":
        op, value, hysteresis = rng.choice([">", ">="]), rng.choice([0.2, 0.5, 1.0, 2.5]), 0.0
    elif metric != "price":
        timeframe = rng.choice(["1s", "5s"])
        if metric == "return":
            bars, value, hysteresis = rng.choice([1, 2, 5]), rng.uniform(-3e-4, 3e-4), rng.choice([0, 1e-4])
        elif metric == "volume":
            value, hysteresis = float(rng.randrange(1, 200)), rng.choice([0.0, 5.0])
    return ConditionSpec(
        metric=metric, of=of, op=op, value=value, hysteresis=hysteresis, timeframe=timeframe, bars=bars
    )


def rule_of(rule_id: int, spec: RuleSpec) -> Rule:
    known = all_metrics()
    return Rule(rule_id, 1, -1, spec, tuple(known[one.metric] for one in spec.conditions))


def trade_batch(trades: Sequence[Event], recv_ns: int = 0) -> TradeBatch:
    """Trades of a path as one message."""
    symbol, _, venue = trades[0][1].partition("@")
    kinds = [trade[5] for trade in trades]
    return TradeBatch(
        venue=venue,
        symbol=symbol,
        recv_ns=recv_ns,
        prev_id=-1,
        id=[trade[2] for trade in trades],
        ts_ns=[trade[3] for trade in trades],
        price=[trade[4] for trade in trades],
        qty=[1.0] * len(trades),
        buyer_maker=[True] * len(trades),
        kind=msgspec.UNSET if set(kinds) == {"MARKET"} else kinds,
    )


def bar_of(event: Event) -> Bar:
    """A bar of a path as a message."""
    _, of, timeframe, start_ns, open_, high, low, close, volume, rev = event
    symbol, _, venue = of.partition("@")
    return Bar(
        venue=venue, symbol=symbol, timeframe=timeframe, ts_ns=start_ns, open=open_, high=high, low=low,
        close=close, volume=volume, quote_volume=0, buy_volume=0, trades=1, first_id=1, last_id=1,
        complete=True, rev=rev,
    )  # fmt: skip
