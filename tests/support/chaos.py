"""Seeded misfortunes for a running system, and what must be true afterwards."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.naive import NaiveBar, NaiveTrade, bars
from tests.support.balance import assert_balance, ids
from tests.support.stack import Stack, wait_until
from tests.support.tapes import TapeTrade, trades

SYMBOLS = "BTCUSDT,ETHUSDT"
WAITING = {"AVAILABLE_SYMBOLS": "BTCUSDT"}
"""With this a tape of SYMBOLS waits until somebody wants the second one, too."""
KILLED = ("ingest", "bars", "recorder", "gateway", "nats", "postgres")
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "drop"},
    {"kind": "mute", "seconds": 2.0},
    {"kind": "stall", "seconds": 1.0},
    {"kind": "skip", "n": 5},
    {"kind": "skip", "n": 60},
    {"kind": "duplicate", "n": 20},
    {"kind": "reorder", "n": 15},
    {"kind": "delay", "ms": 200, "seconds": 1.0},
    {"kind": "garbage", "n": 8},
    {"kind": "refuse", "seconds": 1.0},
    {"kind": "rest_down", "seconds": 1.0},
    {"kind": "rest_429", "n": 1},
)
INTERVALS = {"1s": 1_000_000_000, "1m": 60_000_000_000, "5m": 300_000_000_000}
MARKET_KIND = 0
BARS_S = 15.0


def generated_tape(
    folder: Path, *, seed: int, minutes: int, symbols: str = SYMBOLS, quotes: bool = True, rate: float = 1
) -> Path:
    """A tape of the seeded market."""
    path = folder / f"tape-{seed}.jsonl.gz"
    subprocess.run(
        [
            sys.executable, "-m", "tapestream.simulators.binance.generate", "--symbols", symbols,
            "--start", "2026-01-05T10:00:00Z", "--minutes", str(minutes), "--seed", str(seed), "--out", str(path),
            "--rate", str(rate),
            *([] if quotes else ["--no-quotes"]),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return path


@dataclass
class Schedule:
    """What goes wrong when, drawn from a seed. Times are parts of what is left of the tape."""

    seed: int
    killed: tuple[str, ...] = KILLED
    faults: tuple[dict[str, Any], ...] = FAULTS
    events: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        for _ in range(rng.randint(2, 4)):
            self.events.append((rng.uniform(0.05, 0.9), "fault", dict(rng.choice(self.faults))))
        for part in rng.sample(self.killed, rng.randint(1, min(3, len(self.killed)))):
            self.events.append((rng.uniform(0.05, 0.85), "kill", {"part": part}))
        self.events.sort(key=lambda event: event[0])

    def run(self, stack: Stack, seconds: float) -> None:
        """Carry it out against a system whose tape plays for ``seconds`` more."""
        began = time.monotonic()
        for part, what, detail in self.events:
            time.sleep(max(0.0, began + part * seconds - time.monotonic()))
            if what == "fault":
                httpx.post(f"{stack.sim}/control/fault", json=detail, timeout=10).raise_for_status()
                print(f"{part * seconds:6.2f} s fault {detail}")
            else:
                status = httpx.get(f"{stack.sim}/control/status", timeout=10).json()
                assert not status["finished"], "a kill must have rows in flight"
                stack.kill(detail["part"])
                print(
                    f"{part * seconds:6.2f} s killed {detail['part']}, frame {status['position']} of {status['frames']}"
                )


def play(schedule: Schedule, stack: Stack, tape: Path, speed: float) -> None:
    """Start a tape that waits for its last symbol, and run a schedule over it."""
    stack.want("test", list(trades(tape)))
    started = wait_until(
        lambda: (status := httpx.get(f"{stack.sim}/control/status").json())["started"] and status,
        "the tape playing",
    )
    last_ms = max(rows[-1].ts_ms for rows in trades(tape).values())
    schedule.run(stack, (last_ms - started["position_ns"] / 1e6) / 1e3 / speed)


def gaps(stack: Stack, symbol: str) -> dict[str, set[int]]:
    """Reason → ids that the ledger accounts for."""
    found: dict[str, set[int]] = {}
    for from_id, to_id, reason in stack.sql(
        "select g.from_id, g.to_id, g.reason from gaps g join instruments i on i.id = g.instrument_id "
        "where i.symbol = %s",
        symbol,
    ):
        found.setdefault(reason, set()).update(range(from_id, to_id + 1))
    return found


def missing(stack: Stack, symbol: str) -> set[int]:
    """Ids that the ledger says are not there."""
    return {i for reason, ids in gaps(stack, symbol).items() if reason != "filled" for i in ids}


def stored(stack: Stack, symbol: str) -> list[tuple[Any, ...]]:
    return stack.sql(
        "select t.id, (extract(epoch from t.ts) * 1000)::bigint, t.price, t.qty, t.buyer_maker, t.kind "
        "from trades t join instruments i on i.id = t.instrument_id where i.symbol = %s order by t.id",
        symbol,
    )


def assert_exact(stack: Stack, tape: Path, *, settle_s: float = 45.0) -> None:
    """Every trade of the tape is stored once and right, or in the ledger; and so is every bar."""
    truth = trades(tape)
    for symbol, rows in truth.items():
        every = {row.id for row in rows}
        wait_until(
            lambda symbol=symbol, every=every: (
                {r[0] for r in stored(stack, symbol)} | missing(stack, symbol) >= every
            ),
            f"every trade of {symbol} stored or accounted for",
            settle_s,
        )
    report = httpx.get(f"{stack.sim}/control/report").json()["symbols"]
    for symbol, rows in truth.items():
        by_id = {row.id: row for row in rows}
        found = stored(stack, symbol)
        assert [row[0] for row in found] == sorted({row[0] for row in found})
        for trade_id, ts_ms, price, qty, maker, kind in found:
            row = by_id[trade_id]
            assert (ts_ms, price, qty, maker) == (
                row.ts_ms,
                float(row.price),
                float(row.qty),
                row.buyer_maker,
            )
            assert (kind == MARKET_KIND) == (row.kind == "MARKET")
        lacking = by_id.keys() - {row[0] for row in found}
        assert missing(stack, symbol) == lacking
        delivered = next(e for e in report.values() if (e["symbol"], e["market"]) == (symbol, "usdm"))
        assert_never_delivered(delivered, lacking, by_id)
        assert_balance(stack, symbol, delivered, {row[0] for row in found}, gaps(stack, symbol))
        assert_bars(stack, symbol, [by_id[row[0]] for row in found])


def assert_never_delivered(delivered: dict[str, Any], lacking: set[int], by_id: dict[int, TapeTrade]) -> None:
    """What the simulator never delivered is what is missing; a trade that only the socket brings may
    be missing besides, where the process that had received it was killed."""
    never = ids(delivered["never"])
    assert never <= lacking
    assert all(by_id[i].kind != "MARKET" for i in lacking - never)


def assert_bars(stack: Stack, symbol: str, rows: list[TapeTrade]) -> None:
    market = [
        NaiveTrade(r.id, r.ts_ms * 1_000_000, float(r.price), float(r.qty), r.buyer_maker)
        for r in rows
        if r.kind == "MARKET"
    ]
    for timeframe, length_ns in INTERVALS.items():
        expected = bars(market, length_ns)

        def found(timeframe: str = timeframe) -> list[NaiveBar]:
            return [
                NaiveBar(*row)
                for row in stack.sql(
                    "select (extract(epoch from b.ts) * 1000)::bigint * 1000000, b.open, b.high, b.low, b.close, "
                    "b.volume, b.quote_volume, b.buy_volume, b.trades, b.first_id, b.last_id "
                    "from bars b join instruments i on i.id = b.instrument_id "
                    "where i.symbol = %s and b.timeframe = %s and b.source <> 'venue' order by b.ts",
                    symbol,
                    timeframe,
                )
            ]

        have = _settled_bars(found, expected)
        assert have == expected[: len(have)], (symbol, timeframe)


def _settled_bars(found: Callable[[], list[NaiveBar]], expected: list[NaiveBar]) -> list[NaiveBar]:
    """The stored bars once they are as expected, or as they are after a while.

    The last interval has no trade after it that would close it.
    """
    deadline = time.monotonic() + BARS_S
    while True:
        have = found()
        if len(have) >= len(expected) - 1 and have == expected[: len(have)]:
            return have
        if time.monotonic() > deadline:
            assert len(have) >= len(expected) - 1, "bars are missing"
            return have
        time.sleep(0.1)
