"""From the tick that makes a rule true to the frame at a client, and whether every firing is there."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
from websockets.sync.client import connect

from tests.bench.running import SYMBOLS, BenchStack
from tests.bench.venue import BOTTOM, PERIOD, STEP
from tests.support.stack import wait_until

RULES = 1000
CALM, BUSY = (1000, 3), (5000, 11)
"""Ticks a second, and periods: how fast an alert comes, and whether all come when there is much to do."""
BUSIEST = SYMBOLS[:2]


def alerts(bench: BenchStack, rounds: int) -> Iterator[dict[str, Any]]:
    """A thousand rules, whose thresholds each price passes on its way up: each fires once a period."""
    levels = range(1, RULES // len(BUSIEST) + 1)
    with httpx.Client(base_url=f"{bench.stack.http}/api/v1", timeout=30) as http:
        rules = {_make(http, symbol, level): (symbol, level) for symbol in BUSIEST for level in levels}
        for (rate, periods), wanted in (
            (CALM, "p99 < 10 ms, none missed"),
            (BUSY, "≥ 10,000 firings, none missed"),
        ):
            runs = [_run(bench, http, rules, rate, periods) for _ in range(rounds)]
            yield {
                "figure": f"condition true → WebSocket push, {RULES} rules at {rate} ticks/s",
                "unit": "ms",
                "ours": {
                    "p50_ms": round(float(np.median([one["p50_ms"] for one in runs])), 3),
                    "p99_ms": round(float(np.median([one["p99_ms"] for one in runs])), 3),
                    "firings": sum(one["firings"] for one in runs),
                    "missed": sum(one["missed"] for one in runs),
                },
                "floor": None,
                "ratio": None,
                "wanted": wanted,
                "runs": {"ours": runs},
            }
        for rule in rules:
            http.delete(f"/alerts/{rule}").raise_for_status()


def _make(http: httpx.Client, symbol: str, level: int) -> int:
    body = {"metric": "price", "symbol": symbol, "op": ">", "value": BOTTOM + STEP * (level - 0.5)}
    return http.post("/alerts", json=body).raise_for_status().json()["id"]


def _fired(http: httpx.Client) -> int:
    return http.get("/alerts/history", params={"limit": 1}).raise_for_status().json()["total"]


def _run(
    bench: BenchStack, http: httpx.Client, rules: dict[int, tuple[str, int]], rate: int, periods: int
) -> dict[str, Any]:
    count, recorded = PERIOD * periods * len(SYMBOLS), bench.recorded()
    expected, before = len(rules) * periods, _fired(http)
    times = bench.stack.folder / "alert_times.bin"
    np.zeros(count, np.int64).tofile(times)
    with connect(bench.stack.http.replace("http", "ws") + "/ws", max_queue=None) as socket:
        socket.send(json.dumps({"action": "subscribe", "channels": ["alerts"]}))
        while json.loads(socket.recv(timeout=10))["type"] != "subscription":
            pass
        seen: list[tuple[int, int]] = []
        reader = threading.Thread(target=_read, args=(socket, expected, seen))
        reader.start()
        bench.send(count, rate, times)
        reader.join(timeout=count / rate + 30)
    wait_until(lambda: _fired(http) - before >= expected, "the history of firings", 30)
    wait_until(lambda: bench.recorded() - recorded >= count, "all trades recorded", 30)
    sent = np.fromfile(times, np.int64)
    turns: Counter[int] = Counter()
    latencies = []
    for rule, at_ns in seen:
        symbol, level = rules[rule]
        number = turns[rule] * PERIOD + level
        turns[rule] += 1
        latencies.append((at_ns - int(sent[number * len(SYMBOLS) + SYMBOLS.index(symbol)])) / 1e6)
    return {
        "firings": len(seen),
        "missed": sum(abs(periods - turns[rule]) for rule in rules),
        "p50_ms": round(float(np.percentile(latencies, 50)), 3),
        "p99_ms": round(float(np.percentile(latencies, 99)), 3),
        "max_ms": round(max(latencies), 3),
    }


def _read(socket: Any, expected: int, seen: list[tuple[int, int]]) -> None:
    while len(seen) < expected:
        try:
            frame = socket.recv(timeout=20)
        except TimeoutError:
            return
        now = time.perf_counter_ns()
        message = json.loads(frame)
        frames = message.get("items", [message])
        seen.extend((one["alert_id"], now) for one in frames if one["type"] == "alert")
