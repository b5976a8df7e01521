"""The venue program against a venue that misbehaves."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.chaos import WAITING, Schedule, assert_exact, generated_tape, play
from tests.support.stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.integration
SPEED = 40


def test_a_planned_change_of_connection_leaves_neither_hole_nor_double(tmp_path: Path) -> None:
    with running_stack(tmp_path, without=["gateway"], CONNECTION_LIFETIME_S="5.1") as stack:
        wait_until(
            lambda: stack.figure("ingest", "tapestream_venue_handovers_total", route="market") >= 2,
            "two changes of connection",
        )
        assert stack.sql("select count(*) from gaps") == [(0,)]
        for symbol, count, span in stack.sql(
            "select i.symbol, count(*), max(t.id) - min(t.id) + 1 from trades t "
            "join instruments i on i.id = t.instrument_id group by 1"
        ):
            assert count == span, symbol
        assert stack.figure("ingest", "tapestream_venue_reconnects_total") == 0


def test_the_figures_balance(tmp_path: Path) -> None:
    """Received and filled trades are recorded, doubles or refused, and nothing else."""
    tape = generated_tape(tmp_path, seed=3, minutes=5)
    schedule = Schedule(0)
    schedule.events = [
        (0.1, "fault", {"kind": "duplicate", "n": 50}),
        (0.2, "fault", {"kind": "reorder", "n": 30}),
        (0.3, "fault", {"kind": "skip", "n": 70}),
        (0.4, "fault", {"kind": "garbage", "n": 16}),
        (0.5, "fault", {"kind": "drop"}),
        (0.7, "fault", {"kind": "skip", "n": 5, "symbol": "ETHUSDT"}),
    ]
    settings = {"TAPE": str(tape), "SPEED": str(SPEED), **WAITING}
    with running_stack(tmp_path, without=["gateway"], **settings) as stack:
        play(schedule, stack, tape, SPEED)
        assert_exact(stack, tape)
        wait_until(lambda: balance(stack) == 0, f"the balance, now {balance(stack)}")
        refused = stack.figure("ingest", "tapestream_refused_frames_total")
        assert refused >= 16 - 1, "rubbish is counted"  # one kind of rubbish is an empty frame
        assert stack.figure("ingest", "tapestream_filled_trades_total") > 0
        assert stack.figure("ingest", "tapestream_duplicate_trades_total") > 0


def balance(stack: Stack) -> float:
    gained = stack.figure("ingest", "tapestream_received_trades_total") + stack.figure(
        "ingest", "tapestream_filled_trades_total"
    )
    recorded = stack.figure("recorder", "tapestream_recorder_recorded_rows_total", table="trades")
    doubles = stack.figure("ingest", "tapestream_duplicate_trades_total") + stack.figure(
        "recorder", "tapestream_recorder_duplicate_rows_total", table="trades"
    )
    refused = stack.figure("ingest", "tapestream_refused_frames_total", reason="bad_number") + stack.figure(
        "recorder", "tapestream_recorder_refused_rows_total", table="trades"
    )
    return gained - recorded - doubles - refused


def test_poison_on_the_stream_is_put_aside_and_said(tmp_path: Path) -> None:
    """Rubbish on a subject goes to the dead letters of every reader; the rest goes on."""
    with running_stack(tmp_path) as stack:
        stack.publish("md.trade.binance_usdm.BTCUSDT", b'{"v": 1, "rubbish": tru')
        wait_until(
            lambda: {"dlq.MARKET.bars", "dlq.MARKET.recorder-trades"} <= set(stack.subjects("DLQ")),
            "both readers' dead letters",
        )
        before = stack.sql("select count(*) from trades")[0][0]
        wait_until(lambda: stack.sql("select count(*) from trades")[0][0] > before + 20, "trades going on")
        bars = f"http://127.0.0.1:{stack.metrics_port + 2}/health/ready"
        answer = httpx.get(bars)
        assert answer.status_code == 503
        assert "dead letters" in answer.text
