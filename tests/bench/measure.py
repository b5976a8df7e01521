"""What is measured, each beside its floor in the same run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.running import BenchStack
from tests.support.stack import ROOT, free_ports, wait_until

FLOOR = ROOT.parent / "shared" / "floor"
THROUGHPUT_TRADES = 500_000
LATENCY_RATE, LATENCY_SECONDS = 1000, 10
VIEWERS, VIEWER_INTERVAL_MS = 10, 50
FAN_OUT_CLIENTS = 50
SUSTAINED_RATE = 20_000


def throughput(bench: BenchStack, rounds: int) -> dict[str, Any]:
    """Trades a second from the venue's frames to committed rows, with everything else running.

    Ten clients look at all ten symbols, conflated to 50 ms as a screen is.
    """
    shared, bare, ours = [], [], []
    with _clients(bench, VIEWERS, VIEWER_INTERVAL_MS):
        for _ in range(rounds):
            shared.append(_rate(_run_floor("throughput.py", bench, str(THROUGHPUT_TRADES))))
            bare.append(_rate(_bare_throughput(bench)))
            ours.append(_throughput_once(bench))
    floors = shared if None not in shared else bare
    return {
        "figure": "trades/s, WebSocket frame to Postgres row",
        "unit": "trades/s",
        "ours": _middle(ours),
        "floor": _middle(floors),
        "ratio": _middle([o / f for o, f in zip(ours, floors, strict=True)]),
        "wanted": "≥ 0.85 of the floor",
        "runs": {"ours": ours, "floor": shared, "bare chain": bare},
    }


def _rate(result: dict[str, Any] | None) -> float | None:
    return result and result["ticks_per_s"]


def _bare_throughput(bench: BenchStack) -> dict[str, Any]:
    (venue,) = free_ports(1)
    arguments = [bench.stack.nats, bench.stack.dsn, venue, THROUGHPUT_TRADES]
    with _chain("throughput", *arguments) as chain:
        bench.send(THROUGHPUT_TRADES, 0, port=venue)
        output, _ = chain.communicate(timeout=180)
    return json.loads(output)


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
    shared, bare, ours = [], [], []
    for _ in range(rounds):
        shared.append(_run_floor("latency.py", bench, str(LATENCY_RATE), str(LATENCY_SECONDS)))
        bare.append(_bare_latencies(bench))
        ours.append(_latencies(bench, 1))
    floors = shared if None not in shared else bare
    return {
        "figure": f"tick → WebSocket client at {LATENCY_RATE} ticks/s",
        "unit": "ms",
        "ours": {p: _middle([o[p] for o in ours]) for p in ("p50_ms", "p99_ms")},
        "floor": {p: _middle([f[p] for f in floors]) for p in ("p50_ms", "p99_ms")},
        "ratio": {
            p: _middle([o[p] / f[p] for o, f in zip(ours, floors, strict=True)]) for p in ("p50_ms", "p99_ms")
        },
        "wanted": "p50 and p99 ≤ 2 × the floor",
        "runs": {"ours": ours, "floor": shared, "bare chain": bare},
    }


def _bare_latencies(bench: BenchStack) -> dict[str, float]:
    """The same venue and client with the bare chain between them."""
    venue, gateway = free_ports(2)
    with _chain("latency", bench.stack.nats, venue, gateway) as chain:
        assert chain.stdout is not None
        assert chain.stdout.readline().strip() == b"ready"
        return _latencies(bench, 1, gateway, venue)


@contextlib.contextmanager
def _chain(name: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    chain = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.floor", name, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield chain
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(chain.pid, signal.SIGKILL)  # all of its processes
        chain.wait()


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


def sustained(bench: BenchStack, minutes: float) -> dict[str, Any]:
    """A steady load for minutes: what is lost, how far the rows lag behind, what memory does."""
    with _clients(bench, VIEWERS, VIEWER_INTERVAL_MS):
        before, count = bench.recorded(), int(SUSTAINED_RATE * minutes * 60)
        bench.send(count, SUSTAINED_RATE)
        lags, memory = [], []
        deadline = time.monotonic() + minutes * 60 + 60
        while (done := bench.recorded() - before) < count and time.monotonic() < deadline:
            if done:  # before, the figure is of what came at the start
                lags.append(bench.stack.figure("recorder", "tapestream_recorder_lag_seconds", table="trades"))
            memory.append(bench.memory_mb())
            time.sleep(1)
    fifth = len(memory) // 5
    growth = {
        part: round(
            _middle([m[part] for m in memory[-fifth:]])
            / _middle([m[part] for m in memory[fifth : 2 * fifth]]),
            4,
        )
        for part in memory[0]
    }
    return {
        "figure": f"{SUSTAINED_RATE} ticks/s for {minutes:g} minutes",
        "unit": "",
        "ours": {"lost": count - done, "worst_commit_lag_s": round(max(lags), 3)},
        "floor": None,
        "ratio": None,
        "wanted": "nothing lost, commit lag < 1 s",
        "runs": {"commit_lag_s": lags, "memory_mb": memory[-1], "memory_growth": growth},
    }


def _latencies(bench: BenchStack, clients: int, gateway: int = 0, venue: int = 0) -> dict[str, float]:
    """``gateway`` and ``venue``: ports of a bare chain's ends instead of ours."""
    count = LATENCY_RATE * LATENCY_SECONDS
    times = bench.stack.folder / "times.bin"
    np.zeros(count, np.int64).tofile(times)
    with _clients(bench, clients, 0, count, times, gateway) as process:
        bench.send(count, LATENCY_RATE, times, venue)
        assert process.stdout is not None
        return json.loads(process.stdout.readline())


@contextlib.contextmanager
def _clients(
    bench: BenchStack,
    clients: int,
    interval_ms: int,
    count: int = 0,
    times: Path | None = None,
    port: int = 0,
) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [port or bench.stack.http_port, clients, count, interval_ms, times or "", bench.next_id]
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


def _run_floor(script: str, bench: BenchStack, *arguments: str) -> dict[str, Any] | None:
    """The bare chain that lies beside the project; None where it does not."""
    path = FLOOR / script
    if not path.exists():
        return None
    servers = [bench.stack.nats, bench.stack.dsn] if script == "throughput.py" else [bench.stack.nats]
    done = subprocess.run(
        [sys.executable, str(path), *servers, *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
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
