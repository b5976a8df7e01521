"""A recorded session through the whole system: every trade, every field, every bar."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import psutil
import pytest
import websockets

from tests.support import tapes
from tests.support.chaos import generated_tape
from tests.support.stack import Stack, running_stack, wait_until

MEMORY_BUDGET_MB = {"ingest": 200, "bars": 200, "recorder": 250, "gateway": 300}
KINDS = {"MARKET": 0, "INSURANCE_FUND": 1, "ADL": 2}
FRAMES = {"1s": "1s", "1m": "1min", "5m": "5min"}


async def collect(stack: Stack, symbols: list[str], counts: dict[str, int]) -> dict[str, list[dict]]:
    """Gather every trade frame from the first one on, though the tape may be playing already."""
    seen: dict[str, list[dict]] = {symbol: [] for symbol in symbols}
    async with websockets.connect(f"ws://127.0.0.1:{stack.http_port}/ws", max_queue=None) as ws:
        channels = [f"trades:{s}" for s in symbols]
        await ws.send(json.dumps({"action": "subscribe", "channels": channels, "since": {"trades": 0}}))
        async with asyncio.timeout(300):
            await gather(ws, seen, counts)
    return seen


async def gather(
    ws: websockets.ClientConnection, seen: dict[str, list[dict]], counts: dict[str, int]
) -> None:
    while any(len(seen[symbol]) < counts[symbol] for symbol in seen):
        frame = json.loads(await ws.recv())
        if frame["type"] == "trade":
            seen[frame["symbol"]].append(frame)


@pytest.mark.integration
def test_two_recorded_symbols_at_twenty_times_their_speed(tmp_path: Path) -> None:
    tapes.need(*tapes.USDM)
    counts = {symbol: len(rows) for symbol, rows in tapes.trades(*tapes.USDM).items()}
    assert counts == {"BTCUSDT": 21_313, "ETHUSDT": 14_076}
    play_and_compare(tmp_path, tapes.USDM, 20)


@pytest.mark.soak
def test_two_generated_hours_of_ten_symbols(tmp_path: Path) -> None:
    symbols = "BTCUSDT,ETHUSDT,BNBUSDT,SOLUSDT,ADAUSDT,XRPUSDT,DOGEUSDT,LTCUSDT,LINKUSDT,DOTUSDT"
    tape = generated_tape(tmp_path, seed=7, minutes=120, symbols=symbols, quotes=False)
    play_and_compare(tmp_path, [tape], 40)


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
    counts = {symbol: len(rows) for symbol, rows in truth.items()}
    settings = {
        "TAPE": ",".join(map(str, tape)),
        "SPEED": str(speed),
        "MAX_SYMBOLS": str(max(10, len(truth))),
    }
    with running_stack(folder, **settings) as stack:
        seen = asyncio.run(collect(stack, sorted(truth), counts))
        wait_until(
            lambda: stack.sql("select count(*) from trades")[0][0] == sum(counts.values()),
            "all trades recorded",
        )
        for symbol, rows in truth.items():
            assert_stored(stack, symbol, rows)
            assert_served(seen[symbol], rows)
            for timeframe, frequency in FRAMES.items():
                assert_bars(stack, symbol, timeframe, frequency, rows)
        assert stack.sql("select count(*) from gaps") == [(0,)]
        assert_memory(stack)


def assert_memory(stack: Stack) -> None:
    """Each process keeps to the budget that docs/performance.md states."""
    for part, budget_mb in MEMORY_BUDGET_MB.items():
        used = sum(psutil.Process(pid).memory_info().rss for pid in stack.pids(part)[:1]) / 1e6
        assert 0 < used < budget_mb, part


def assert_stored(stack: Stack, symbol: str, rows: list[tapes.TapeTrade]) -> None:
    stored = stack.sql(
        "select t.id, t.ts, t.price, t.qty, t.buyer_maker, t.kind from trades t "
        "join instruments i on i.id = t.instrument_id where i.symbol = %s order by t.id",
        symbol,
    )
    assert stored == [
        (
            row.id,
            datetime.fromtimestamp(row.ts_ms // 1000, UTC).replace(microsecond=row.ts_ms % 1000 * 1000),
            float(row.price),
            float(row.qty),
            row.buyer_maker,
            KINDS[row.kind],
        )
        for row in rows
    ]


def assert_served(seen: list[dict], rows: list[tapes.TapeTrade]) -> None:
    assert [frame["id"] for frame in seen] == [row.id for row in rows]
    for frame, row in zip(seen, rows, strict=True):
        assert Decimal(str(frame["price"])) == Decimal(row.price)
        assert Decimal(str(frame["qty"])) == Decimal(row.qty)
        assert frame["side"] == ("sell" if row.buyer_maker else "buy")
        assert round(datetime.fromisoformat(frame["ts"]).timestamp() * 1000) == row.ts_ms
    assert all(a["seq"] < b["seq"] for a, b in itertools.pairwise(seen))


def assert_bars(
    stack: Stack, symbol: str, timeframe: str, frequency: str, rows: list[tapes.TapeTrade]
) -> None:
    """Against pandas for prices and Decimal for sums; the last interval has nothing after it to close it."""
    rows = [row for row in rows if row.kind == "MARKET"]
    frame = pd.DataFrame(
        {
            "price": [float(row.price) for row in rows],
            "qty": [Decimal(row.qty) for row in rows],
            "quote": [Decimal(row.qty) * Decimal(row.price) for row in rows],
            "buy": [Decimal(0) if row.buyer_maker else Decimal(row.qty) for row in rows],
        },
        index=pd.to_datetime([row.ts_ms for row in rows], unit="ms", utc=True),
    )
    groups = frame.groupby(frame.index.floor(frequency))
    expected = [
        (
            start.to_pydatetime(),
            group["price"].iloc[0],
            group["price"].max(),
            group["price"].min(),
            group["price"].iloc[-1],
            float(sum(group["qty"])),
            float(sum(group["quote"])),
            float(sum(group["buy"])),
            len(group),
        )
        for start, group in groups
    ]
    query = (
        "select b.ts, b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.buy_volume, b.trades "
        "from bars b join instruments i on i.id = b.instrument_id "
        "where i.symbol = %s and b.timeframe = %s order by b.ts"
    )
    stored = wait_until(
        lambda: (found := stack.sql(query, symbol, timeframe)) and len(found) >= len(expected) - 1 and found,
        f"closed bars {timeframe} of {symbol}",
    )
    assert stored == expected[: len(stored)]
