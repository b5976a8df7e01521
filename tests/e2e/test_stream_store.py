"""The stream store in trouble: its disk full, its server stopped, its limit reached."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tapestream.common.contracts.messages import Bar, KlineBatch, encode
from tests.support.chaos import (
    WAITING,
    Schedule,
    assert_bars,
    assert_exact,
    generated_tape,
    missing,
    play,
    stored,
)
from tests.support.stack import Stack, running_stack, wait_until
from tests.support.tapes import TapeTrade, trades

pytestmark = pytest.mark.integration
SPEED = 28


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[None]:
    """A file system of its own, of that size, in a folder; skips where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only who may mount a file system can fill one without filling the machine's")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as filler:
        while filler.write(bytes(1 << 16)):
            pass


def begin(stack: Stack, tape: Path) -> None:
    calm = Schedule(0)
    calm.events = []
    play(calm, stack, tape, SPEED)


def play_up_to(stack: Stack, part: float) -> None:
    """Wait until this part of the tape's frames is played, and not all."""

    def far_enough() -> bool:
        status = httpx.get(f"{stack.sim}/control/status", timeout=10).json()
        assert not status["finished"], "trouble must have rows in flight"
        return status["position"] >= part * status["frames"]

    wait_until(far_enough, f"{part:.0%} of the tape", every=0.01)


def await_account(stack: Stack, symbol: str, rows: list[TapeTrade]) -> None:
    """Wait until each trade of the tape is stored or on record as missing, and nothing else is."""
    every = {row.id for row in rows}
    wait_until(
        lambda: {row[0] for row in stored(stack, symbol)} | missing(stack, symbol) == every,
        f"every trade of {symbol} stored or accounted for",
        90,
    )


def programs(stack: Stack) -> dict[str, list[int]]:
    return {part: stack.pids(part) for part in ("ingest", "bars", "recorder", "gateway")}


def test_a_server_that_is_stopped_and_started_again(tmp_path: Path) -> None:
    """SIGTERM, as an operator sends it, twice within a tape: every row is exact, no program falls."""
    tape = generated_tape(tmp_path, seed=21, minutes=5)
    with running_stack(tmp_path, TAPE=str(tape), SPEED=str(SPEED), **WAITING) as stack:
        begin(stack, tape)
        before = programs(stack)
        for part in (0.2, 0.6):
            play_up_to(stack, part)
            (server,) = stack.pids("nats")
            os.kill(server, signal.SIGTERM)
            wait_until(lambda old=server: stack.pids("nats") not in ([], [old]), "another server")
        assert_exact(stack, tape)
        assert programs(stack) == before


def test_a_full_disk_is_said_and_left_behind(tmp_path: Path) -> None:
    """The streams' and the database's: no program falls; with room again every trade is recorded or on record."""
    tape = generated_tape(tmp_path, seed=22, minutes=5)
    data = tmp_path / "data"
    with (
        small_disk(data, 512),
        running_stack(tmp_path, TAPE=str(tape), SPEED=str(SPEED), **WAITING) as stack,
    ):
        begin(stack, tape)
        before = programs(stack)
        play_up_to(stack, 0.2)
        fill(data / "filler")
        wait_until(lambda: "disk_full" in stack.log.read_text(), "the operator being told")
        play_up_to(stack, 0.5)
        (data / "filler").unlink()
        wait_until(lambda: "disk_has_room_again" in stack.log.read_text(), "the room being noticed")
        for symbol, rows in trades(tape).items():
            await_account(stack, symbol, rows)
            right = {(r.id, r.ts_ms, float(r.price), float(r.qty), r.buyer_maker) for r in rows}
            assert {row[:5] for row in stored(stack, symbol)} <= right
        assert programs(stack) == before


def test_a_stream_at_its_limit_drops_its_oldest_and_that_is_on_record(tmp_path: Path) -> None:
    """The recorder stands still while the stream passes it by: what it never saw is on record, by name.

    The venue may still have it: then it is filled later. The bars, which were read in time, hold every trade.
    """
    tape = generated_tape(tmp_path, seed=23, minutes=5)
    settings = {"TAPE": str(tape), "SPEED": str(SPEED), "STREAM_STORE_BYTES": str(64 << 20), **WAITING}
    with running_stack(tmp_path, **settings) as stack:
        begin(stack, tape)
        before = programs(stack)
        play_up_to(stack, 0.2)
        for pid in before["recorder"]:
            os.kill(pid, signal.SIGSTOP)
        play_up_to(stack, 0.5)
        flood(stack, 40 << 20)
        for pid in before["recorder"]:
            os.kill(pid, signal.SIGCONT)
        for symbol, rows in trades(tape).items():
            await_account(stack, symbol, rows)
            assert_bars(stack, symbol, rows)
        assert stack.figure("recorder", "tapestream_recorder_lost_trades_total") > 0
        assert programs(stack) == before


def flood(stack: Stack, size: int) -> None:
    """Fill the stream of market data with what concerns nobody: bars of an interval that is not built."""
    bar = Bar(
        venue="elsewhere", symbol="X", timeframe="1h", ts_ns=0, open=1.0, high=1.0, low=1.0, close=1.0,
        volume=1.0, quote_volume=1.0, buy_volume=1.0, trades=1, first_id=1, last_id=1, complete=True,
    )  # fmt: skip
    payload = encode(KlineBatch(venue="elsewhere", symbol="X", bars=[bar] * 1500))
    for _ in range(size // len(payload) + 1):
        stack.publish("md.kline.elsewhere.X", payload)
