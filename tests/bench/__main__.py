"""``make bench``: measure, print one table, write it as JSON. ``ARGS="--rounds 1"`` is quicker."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.alerts import alerts
from tests.bench.measure import fan_out, latency, settled, sustained, throughput
from tests.bench.pairs import pairs
from tests.bench.running import bench_stack
from tests.support.stack import ROOT

KERNELS = {"pairs": pairs}
"""Measured without a running system."""
MEASURES = {"throughput": throughput, "latency": latency, "fan_out": fan_out, "alerts": alerts}
LIBRARIES = (
    "nats-py",
    "msgspec",
    "picows",
    "psycopg",
    "numpy",
    "numba",
    "pandas",
    "statsmodels",
    "uvicorn",
    "uvloop",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs, of which the median counts")
    every = [*KERNELS, *MEASURES]
    parser.add_argument("--only", nargs="*", choices=every, default=every)
    parser.add_argument("--minutes", type=float, default=0, help="then a steady load for so long")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in filter(KERNELS.__contains__, asked.only):
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows.extend(KERNELS[name](asked.rounds))
    if asked.minutes or any(name in MEASURES for name in asked.only):
        rows.extend(measure_system([name for name in asked.only if name in MEASURES], asked))
    report = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(), "rows": rows}
    results = ROOT / "bench-results"
    results.mkdir(exist_ok=True)
    path = results / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    path.write_text(json.dumps(report, indent=1))
    print(table(rows))
    print(f"\n{json.dumps(report['machine'])}\nwritten to {path.relative_to(ROOT)}")


def measure_system(names: list[str], asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What needs everything running."""
    with (
        tempfile.TemporaryDirectory(prefix="tapestream-bench-") as folder,
        bench_stack(Path(folder)) as bench,
    ):
        for name in names:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            yield from MEASURES[name](bench, asked.rounds)
            settled(bench)
        if asked.minutes:
            print(f"a steady load for {asked.minutes:g} minutes …", file=sys.stderr, flush=True)
            yield sustained(bench, asked.minutes)


def machine() -> dict[str, Any]:
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def table(rows: list[dict[str, Any]]) -> str:
    head = ("figure", "ours", "floor", "ratio", "wanted")
    lines = [head, *(tuple(cell(row[name]) for name in head) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
    )


def cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return " / ".join(f"{name.removesuffix('_ms')} {number}" for name, number in value.items())
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


if __name__ == "__main__":
    main()
