"""A recorded session through the whole system: every trade, every field, every bar."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from tests.support import tapes, ws_reader
from tests.support.chaos import gaps, generated_tape
from tests.support.resample import ResampledBar, resample
from tests.support.stack import Stack, running_stack, wait_until

MEMORY_BUDGET_MB = {"ingest": 200, "bars": 200, "recorder": 250, "gateway": 300}
KINDS = {"MARKET": 0, "INSURANCE_FUND": 1, "ADL": 2}
FIELDS = {"type", "symbol", "price", "qty", "ts", "id", "side", "kind", "seq"}
NO_BARS = object()
READ_S = 300
GENERATED_RATE, GENERATED_SPEED = 0.35, 300
FRAMES = {"1s": "1s", "1m": "1min", "5m": "5min"}


@pytest.mark.integration
def test_two_recorded_symbols_at_twenty_times_their_speed(tmp_path: Path) -> None:
    tapes.need(*tapes.USDM)
    counts = {symbol: len(rows) for symbol, rows in tapes.trades(*tapes.USDM).items()}
    assert counts == {"BTCUSDT": 21_313, "ETHUSDT": 14_076}
    play_and_compare(tmp_path, tapes.USDM, 20)


@pytest.mark.integration
def test_two_generated_hours_of_ten_symbols(tmp_path: Path) -> None:
    """Two trades a second and symbol on average, in bursts: sixty in the wildest second."""
    symbols = "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,ADAUSDT,XRPUSDT,DOGEUSDT,LTCUSDT,LINKUSDT,DOTUSDT"
    tape = generated_tape(tmp_path, seed=7, minutes=120, symbols=symbols, quotes=False, rate=GENERATED_RATE)
    counts = [len(rows) for rows in tapes.trades(tape).values()]
    assert len(counts) == 10
    assert min(counts) > 7_200
    play_and_compare(tmp_path, [tape], GENERATED_SPEED)


@pytest.mark.integration
def test_any_tape_named_on_the_command_line(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    named = [Path(text) for text in pytestconfig.getoption("--tape").split(",") if text]
    if not named:
        pytest.skip("no tape named: --tape FILE,FILE --tape-speed 20")
    play_and_compare(
        tmp_path, [path.resolve() for path in named], float(pytestconfig.getoption("--tape-speed"))
    )


def play_and_compare(folder: Path, tape: Sequence[Path], speed: float) -> None:
    """Play a tape through the whole system; compare what is stored, served and built with the tape."""
    truth = tapes.trades(*tape)
    assert truth, "no trade on these tapes"
    total = sum(map(len, truth.values()))
    settings = {
        "TAPE": ",".join(map(str, tape)),
        "SPEED": str(speed),
        "VENUE": tapes.venue(*tape),
        "MAX_SYMBOLS": str(max(10, len(truth))),
    }
    written = folder / "frames.jsonl"
    with running_stack(folder, **settings) as stack:
        with ws_reader.reading(stack.http_port, total, written, [f"trades:{s}" for s in truth]) as reader:
            reader.wait(READ_S)
        wait_until(
            lambda: stack.sql("select count(*) from trades") == [(total,)], "all trades recorded", seconds=60
        )
        assert_served(ws_reader.frames(written), truth)
        for symbol, rows in truth.items():
            assert_stored(stack, symbol, rows)
            for timeframe, frequency in FRAMES.items():
                assert_bars(stack, symbol, timeframe, resample(rows, frequency))
            wait_until(
                lambda symbol=symbol, rows=rows: (
                    set().union(*gaps(stack, symbol).values()) == tapes.holes(rows)
                ),
                f"what the tape lacks of {symbol} on record, and nothing else",
            )
        assert_memory(stack)


def assert_memory(stack: Stack) -> None:
    """Each process keeps to the budget that docs/performance.md states."""
    for part, budget_mb in MEMORY_BUDGET_MB.items():
        used = sum(psutil.Process(pid).memory_info().rss for pid in stack.pids(part)[:1]) / 1e6
        assert 0 < used < budget_mb, part


def instant(ts_ms: int) -> datetime:
    return datetime.fromtimestamp(ts_ms // 1000, UTC).replace(microsecond=ts_ms % 1000 * 1000)


def assert_stored(stack: Stack, symbol: str, rows: list[tapes.TapeTrade]) -> None:
    stored = stack.sql(
        "select t.id, t.ts, t.price, t.qty, t.buyer_maker, t.kind from trades t "
        "join instruments i on i.id = t.instrument_id where i.symbol = %s order by t.id",
        symbol,
    )
    assert stored == [
        (
            row.id,
            instant(row.ts_ms),
            float(row.price),
            float(row.qty),
            row.buyer_maker,
            KINDS[row.kind],
        )
        for row in rows
    ]


def assert_served(frames: list[dict], truth: dict[str, list[tapes.TapeTrade]]) -> None:
    """Every trade once, in order, each field as on the tape, and nothing else but greetings."""
    assert {frame["type"] for frame in frames} <= {"connected", "subscription", "heartbeat", "trade"}
    served: dict[str, list[tuple[object, ...]]] = {symbol: [] for symbol in truth}
    trades = [frame for frame in frames if frame["type"] == "trade"]
    assert all(a["seq"] < b["seq"] for a, b in itertools.pairwise(trades))
    for frame in trades:
        assert frame.keys() == FIELDS
        served[frame["symbol"]].append(
            (
                frame["id"],
                datetime.fromisoformat(frame["ts"]),
                Decimal(str(frame["price"])),
                Decimal(str(frame["qty"])),
                frame["side"],
                frame["kind"],
            )
        )
    for symbol, rows in truth.items():
        assert served[symbol] == [
            (
                row.id,
                instant(row.ts_ms),
                Decimal(row.price),
                Decimal(row.qty),
                "sell" if row.buyer_maker else "buy",
                row.kind,
            )
            for row in rows
        ]


def assert_bars(stack: Stack, symbol: str, timeframe: str, expected: list[ResampledBar]) -> None:
    """The last interval has nothing after it that would close it."""
    query = (
        "select b.ts, b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.buy_volume, b.trades "
        "from bars b join instruments i on i.id = b.instrument_id "
        "where i.symbol = %s and b.timeframe = %s order by b.ts"
    )
    least = len(expected) - 1
    stored = wait_until(
        lambda: len(found := stack.sql(query, symbol, timeframe)) >= least and (found or NO_BARS),
        f"closed bars {timeframe} of {symbol}",
    )
    stored = [] if stored is NO_BARS else stored
    assert stored == expected[: len(stored)]
