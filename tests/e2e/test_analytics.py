"""Pair analytics of the whole system: from simulated trades to the figures that a client reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.integration
WINDOW = 10
_SIGNALS = """
    SELECT (extract(epoch FROM ts) * 1000000)::int8, zscore, hedge_ratio, correlation FROM signals
    WHERE symbol_a = 'BTCUSDT' AND symbol_b = 'ETHUSDT' AND rev = 0 ORDER BY ts
"""
_COMMON_BARS = """
    SELECT (extract(epoch FROM a.ts) * 1000000)::int8 FROM bars a JOIN bars b USING (ts, timeframe)
    JOIN instruments i ON i.id = a.instrument_id JOIN instruments j ON j.id = b.instrument_id
    WHERE timeframe = '1s' AND i.symbol = 'BTCUSDT' AND j.symbol = 'ETHUSDT' ORDER BY ts
"""


def signals(stack: Stack) -> list[tuple[Any, ...]]:
    return stack.sql(_SIGNALS)


def test_every_common_bar_has_its_figures_once_although_analytics_is_killed(tmp_path: Path) -> None:
    with running_stack(tmp_path, LIVE_TIMEFRAME="1s", DEFAULT_ROLLING_WINDOW=str(WINDOW)) as stack:
        wait_until(lambda: len(signals(stack)) >= 2 * WINDOW, "figures before the kill", 90)
        stack.kill("analytics")
        before = len(signals(stack))
        wait_until(lambda: len(signals(stack)) >= before + 2 * WINDOW, "figures after the kill", 90)

        found = signals(stack)
        starts = [row[0] for row in found]

        def recorded() -> bool:
            bars = [ts for (ts,) in stack.sql(_COMMON_BARS) if starts[0] <= ts <= starts[-1]]
            return bars == starts

        wait_until(recorded, "a signal for each common bar, and no other")
        answer = stack.get("/analytics/pair", pair="BTCUSDT-ETHUSDT", tf="1s", window=WINDOW, limit=4000)
        by_start = {
            point["ts"]: (point["value"], ratio["value"], correlation["value"])
            for point, ratio, correlation in zip(
                answer["zscore"], answer["hedge_ratio"], answer["rolling_corr"], strict=True
            )
        }
        page = stack.get("/api/v1/signals", pair="BTCUSDT-ETHUSDT", timeframe="1s", limit=WINDOW)
        assert page["items"]
        for item in page["items"]:
            if item["ts"] in by_start:  # what closed in between is not in the answer
                wanted = (item["zscore"], item["hedge_ratio"], item["correlation"])
                assert by_start[item["ts"]] == pytest.approx(wanted, rel=1e-6, abs=1e-9)
        assert sum(item["ts"] in by_start for item in page["items"]) >= WINDOW // 2
        radar = stack.get("/api/v1/analytics/radar", tf="1s", limit=5)
        assert radar["pairs"] == 10
