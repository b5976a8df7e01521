"""What is measured, each beside its floor in the same run."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.running import BenchStack
from tests.support.stack import ROOT, wait_until

FLOOR = ROOT.parent / "shared" / "floor"
THROUGHPUT_TRADES = 500_000
LATENCY_RATE, LATENCY_SECONDS = 1000, 10
VIEWERS, VIEWER_INTERVAL_MS = 10, 50
FAN_OUT_CLIENTS = 50


def throughput(bench: BenchStack, rounds: int) -> dict[str, Any]:
    """Trades a second from the venue's frames to committed rows, with everything else running.

    Ten clients look at all ten symbols, conflated to 50 ms as a screen is.
    """
    floors, ours = [], []
    with _clients(bench, VIEWERS, VIEWER_INTERVAL_MS):
        for _ in range(rounds):
            floors.append(
                _run_floor("throughput.py", bench.stack.nats, bench.stack.dsn, str(THROUGHPUT_TRADES))
            )
            ours.append(_throughput_once(bench))
    floor_rates = [floor["ticks_per_s"] for floor in floors if floor]
    return {
        "figure": "trades/s, WebSocket frame to Postgres row",
        "unit": "trades/s",
        "ours": _middle(ours),
        "floor": _middle(floor_rates),
        "ratio": _middle([o / f for o, f in zip(ours, floor_rates, strict=False)]),
        "wanted": "≥ 0.85 of the floor",
        "runs": {"ours": ours, "floor": floor_rates},
    }


def _throughput_once(bench: BenchStack) -> float:
    before = bench.recorded()
    bench.send(THROUGHPUT_TRADES, 0)
    began = 0.0
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        done = bench.recorded() - before
        now = time.perf_counter()
        if done and not began:
            began, already = now, done
        if done >= THROUGHPUT_TRADES:
            return round((done - already) / (now - began))
        time.sleep(0.02)
    raise AssertionError(f"only {bench.recorded() - before} of {THROUGHPUT_TRADES} trades recorded")


def latency(bench: BenchStack, rounds: int) -> dict[str, Any]:
    """From the venue's socket write to a client's frame, at a thousand ticks a second."""
    floors, ours = [], []
    for _ in range(rounds):
        floors.append(_run_floor("latency.py", bench.stack.nats, str(LATENCY_RATE), str(LATENCY_SECONDS)))
        ours.append(_latencies(bench, 1))
    floors = [floor for floor in floors if floor]
    return {
        "figure": f"tick → WebSocket client at {LATENCY_RATE} ticks/s",
        "unit": "ms",
        "ours": {p: _middle([o[p] for o in ours]) for p in ("p50_ms", "p99_ms")},
        "floor": {p: _middle([f[p] for f in floors]) for p in ("p50_ms", "p99_ms")},
        "ratio": {
            p: _middle([o[p] / f[p] for o, f in zip(ours, floors, strict=False)])
            for p in ("p50_ms", "p99_ms")
        },
        "wanted": "p50 and p99 ≤ 2 × the floor",
        "runs": {"ours": ours, "floor": floors},
    }


def fan_out(bench: BenchStack, rounds: int) -> dict[str, Any]:
    """The same with fifty clients that each get every tick."""
    ours = [_latencies(bench, FAN_OUT_CLIENTS) for _ in range(rounds)]
    return {
        "figure": f"fan-out: {FAN_OUT_CLIENTS} clients × {LATENCY_RATE} ticks/s",
        "unit": "ms",
        "ours": {p: _middle([o[p] for o in ours]) for p in ("p50_ms", "p99_ms")},
        "floor": None,
        "ratio": None,
        "wanted": "p99 < 20 ms",
        "runs": {"ours": ours},
    }


def _latencies(bench: BenchStack, clients: int) -> dict[str, float]:
    count = LATENCY_RATE * LATENCY_SECONDS
    times = bench.stack.folder / "times.bin"
    np.zeros(count, np.int64).tofile(times)
    with _clients(bench, clients, 0, count, times) as process:
        bench.send(count, LATENCY_RATE, times)
        assert process.stdout is not None
        return json.loads(process.stdout.readline())


@contextlib.contextmanager
def _clients(
    bench: BenchStack, clients: int, interval_ms: int, count: int = 0, times: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [bench.stack.http_port, clients, count, interval_ms, times or "", bench.next_id]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.clients", *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"subscribed"
        yield process
    finally:
        process.kill()
        process.wait()


def _run_floor(script: str, *arguments: str) -> dict[str, Any] | None:
    """The bare chain that lies beside the project; None where it does not."""
    path = FLOOR / script
    if not path.exists():
        return None
    done = subprocess.run(
        [sys.executable, str(path), *arguments], capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode:
        raise AssertionError(f"{script}: {done.stderr[-500:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _middle(values: list[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def settled(bench: BenchStack) -> None:
    """Wait until nothing is left over from what ran before."""
    last = -1

    def still() -> bool:
        nonlocal last
        now = bench.recorded()
        same, last = now == last, now
        return same

    wait_until(still, "the recorder at rest", 30, every=0.5)
