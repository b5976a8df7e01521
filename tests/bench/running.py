"""The system under measurement: everything that ``make run`` starts, fed by the bench's venue."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from tests.support.stack import ROOT, Stack, free_ports, running_stack, wait_until

SYMBOLS = [f"S{i}USDT" for i in range(10)]


class BenchStack:
    """A running system and the venue that feeds it, whose ids go on from one measurement to the next."""

    def __init__(self, stack: Stack, ws_port: int, rest_port: int) -> None:
        self.stack, self._ws_port, self._rest_port = stack, ws_port, rest_port
        self._venue: subprocess.Popen[bytes] | None = None
        self.next_id = 1

    @property
    def trades_channel(self) -> list[str]:
        return [f"trades:{symbol}" for symbol in SYMBOLS]

    def send(self, count: int, rate: float, times: Path | None = None) -> None:
        """Let the venue send ``count`` trades, once ingest has come back to it."""
        self.stop_venue()
        self._start_venue(count, rate, times)
        self.next_id += count // len(SYMBOLS)

    def _start_venue(self, count: int, rate: float, times: Path | None) -> None:
        arguments = [str(self._ws_port), str(self._rest_port), str(count), str(rate), str(self.next_id)]
        self._venue = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.venue", *arguments, *([str(times)] if times else [])],
            cwd=ROOT,
        )

    def stop_venue(self) -> None:
        if self._venue is not None:
            self._venue.kill()
            self._venue.wait()

    @property
    def venue_port(self) -> int:
        return self._ws_port

    @contextlib.contextmanager
    def ingest_away(self) -> Iterator[None]:
        """Leave the venue to a floor: it sends to one reader only."""
        self.stop_venue()
        ingest = [psutil.Process(pid) for pid in self.stack.pids("ingest")]
        for process in ingest:
            process.suspend()
        try:
            yield
        finally:
            self.stop_venue()
            for process in ingest:
                process.resume()

    def memory_mb(self) -> dict[str, float]:
        """Resident memory by process."""
        return {
            part: round(psutil.Process(self.stack.pids(part)[0]).memory_info().rss / 1e6, 1)
            for part in ("ingest", "bars", "recorder", "gateway")
        }

    def recorded(self) -> int:
        """Trades that the recorder has committed."""
        text = httpx.get(f"http://127.0.0.1:{self.stack.metrics_port + 2}/metrics", timeout=5).text
        found = re.search(
            r'^tapestream_recorder_recorded_rows_total\{[^}]*"trades"[^}]*\} ([0-9.e+]+)', text, re.MULTILINE
        )
        return int(float(found[1])) if found else 0


@contextlib.contextmanager
def bench_stack(folder: Path) -> Iterator[BenchStack]:
    """Everything started, waiting for the venue's first trades."""
    ws_port, rest_port = free_ports(2)
    venue = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.venue", str(ws_port), str(rest_port), "10", "0", "1"], cwd=ROOT
    )
    settings = {
        "BINANCE_WS_URL": f"ws://127.0.0.1:{ws_port}",
        "BINANCE_REST_URL": f"http://127.0.0.1:{rest_port}",
        "STREAM_STORE_BYTES": str(6 << 30),
    }
    try:
        with running_stack(folder, **settings) as stack:
            bench = BenchStack(stack, ws_port, rest_port)
            bench._venue = venue
            bench.next_id = 2
            wait_until(lambda: bench.recorded() >= 10, "the first trades recorded")
            yield bench
            bench.stop_venue()
    finally:
        venue.kill()
