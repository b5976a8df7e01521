"""Compiling the kernels before they are needed: the first call of each takes seconds, later ones microseconds."""

from __future__ import annotations

import time

import numpy as np
import structlog

from tapestream.analytics.core.ranking import ranked
from tapestream.quant.pairs import Method, PairStream, pair_series
from tapestream.quant.stationarity import adf, engle_granger, half_life, hurst

log = structlog.get_logger(__name__)

_ROWS = 80


def compile_kernels() -> None:
    """Call every kernel once. Blocks: call it in a thread."""
    began = time.perf_counter()
    rng = np.random.default_rng(1)
    x = 100 + np.cumsum(rng.normal(size=_ROWS))
    y = 2 * x + rng.normal(size=_ROWS)
    for method in Method:
        pair_series(y, x, 20, method)
        stream = PairStream(20, method)
        for a, b in zip(y.tolist(), x.tolist(), strict=True):
            stream.update(a, b)
        stream.peek(1.0, 2.0)
        PairStream.load(stream.dump())
    spread = y - 2 * x
    adf(spread)
    half_life(spread)
    hurst(spread)
    engle_granger(y, x)
    ranked(["a", "b", "c"], np.stack([y, x, x + rng.normal(size=_ROWS)]), _ROWS)
    log.info("kernels_ready", seconds=round(time.perf_counter() - began, 2))


if __name__ == "__main__":
    compile_kernels()
