"""The system under measurement: everything that ``make run`` starts, fed by the bench's venue."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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

    def send(self, count: int, rate: float, times: Path | None = None, port: int = 0) -> None:
        """Let the venue send ``count`` trades once its reader is there: ingest, or a bare chain at ``port``."""
        self.stop_venue()
        ports = [port, free_ports(1)[0]] if port else [self._ws_port, self._rest_port]
        arguments = [*ports, count, rate, self.next_id, *([times] if times else [])]
        self._venue = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.venue", *map(str, arguments)], cwd=ROOT
        )
        if not port:
            self.next_id += count // len(SYMBOLS)

    def stop_venue(self) -> None:
        if self._venue is not None:
            self._venue.kill()
            self._venue.wait()

    def memory_mb(self) -> dict[str, float]:
        """Resident memory by process."""
        return {
            part: round(psutil.Process(self.stack.pids(part)[0]).memory_info().rss / 1e6, 1)
            for part in ("ingest", "bars", "recorder", "gateway")
        }

    def recorded(self) -> int:
        """Trades that the recorder has committed."""
        return int(self.stack.figure("recorder", "tapestream_recorder_recorded_rows_total", table="trades"))


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
            try:
                yield bench
            finally:
                bench.stop_venue()
    finally:
        venue.kill()
