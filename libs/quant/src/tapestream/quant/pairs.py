"""Analytics of a pair of instruments, over whole series and row by row: figures and what they mean.

``y`` and ``x`` are prices of the two instruments at the same times, one row each.

- *hedge ratio*, *intercept*: y ≈ hedge_ratio · x + intercept. Of the methods ``ols``, ``tls``, ``huber`` and
  ``theil-sen`` they are rolling: fitted to the last ``window`` rows, the current one included. Of
  ``kalman`` they are recursive: the filter takes in all rows from the first on, and ``window`` only says
  how many rows must have come before it is reported.
- *spread* = y − hedge_ratio · x, with the hedge ratio of the same row; the intercept is not subtracted.
- *z-score*: of the current spread against the last ``window`` spreads, the current one included, with
  their sample standard deviation (ddof = 1). So it is there from row 2 · window − 2 on (from 0).
- *correlation*: Pearson's, of y and x over the last ``window`` rows.

A row with NaN or infinity makes the figures undefined whose window holds it; they come back when it has
left. The Kalman filter skips such a row: it has no figures, and its states wander on unobserved.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapestream.quant.kernels import pair_step as kernel
from tapestream.quant.kernels.window import new_state
from tapestream.quant.radar import RadarScores, radar_scores
from tapestream.quant.reasons import REASONS, Reason
from tapestream.quant.stationarity import (
    AdfResult,
    CointegrationResult,
    Estimate,
    adf,
    engle_granger,
    half_life,
    hurst,
)

__all__ = [
    "REASONS",
    "AdfResult",
    "CointegrationResult",
    "Estimate",
    "Method",
    "PairPoint",
    "PairSeries",
    "PairStream",
    "RadarScores",
    "Reason",
    "adf",
    "engle_granger",
    "half_life",
    "hurst",
    "pair_series",
    "radar_scores",
]

_HEADER = struct.Struct("<4sBBQ")
_MAGIC = b"TSP1"


class Method(StrEnum):
    """How the hedge ratio is estimated, and what a row costs with a window of w rows."""

    OLS = "ols"
    """Ordinary least squares; O(1)."""
    HUBER = "huber"
    """Huber's M-estimator: far rows count less; O(w) per round of reweighting, fitted anew at each row."""
    THEIL_SEN = "theil-sen"
    """The median of all slopes between two rows; O(w log w), up to 200 rows O(w²), anew at each row."""
    KALMAN = "kalman"
    """Hedge ratio and intercept that wander, filtered from the first row on; O(1)."""
    TLS = "tls"
    """Total least squares: errors in both series count; O(1)."""

    @classmethod
    def parse(cls, text: str) -> Method:
        """The method of this name in any case, with or without hyphen or underscore. Raises ValueError."""
        plain = text.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
        for method in cls:
            if method.value.replace("-", "") == plain:
                return method
        raise ValueError(f"method is one of {', '.join(cls)}, not {text!r}")


_CODES = {
    Method.OLS: kernel.OLS,
    Method.HUBER: kernel.HUBER,
    Method.THEIL_SEN: kernel.THEIL_SEN,
    Method.KALMAN: kernel.KALMAN,
    Method.TLS: kernel.TLS,
}
_METHODS = {code: method for method, code in _CODES.items()}


class PairPoint(NamedTuple):
    """The figures of one row; NaN where undefined. ``reason`` is the first thing that makes one undefined."""

    hedge_ratio: float
    intercept: float
    spread: float
    zscore: float
    correlation: float
    reason: Reason | None


@dataclass(frozen=True)
class PairSeries:
    """The figures of all rows, each an array [n]; NaN where undefined.

    ``reason`` holds codes: 0 where all figures are defined, else ``REASONS[code]`` says why one is not.
    """

    hedge_ratio: NDArray[np.float64]
    intercept: NDArray[np.float64]
    spread: NDArray[np.float64]
    zscore: NDArray[np.float64]
    correlation: NDArray[np.float64]
    reason: NDArray[np.int8]


def pair_series(
    y: ArrayLike, x: ArrayLike, window: int, method: Method = Method.OLS, *, intercept: bool = True
) -> PairSeries:
    """The figures of each row of ``y`` [n] and ``x`` [n]; no row depends on later ones.

    Without ``intercept`` the line goes through the origin. Raises ValueError for series of different
    lengths and for a window below 2.
    """
    ys = np.ascontiguousarray(y, dtype=np.float64)
    xs = np.ascontiguousarray(x, dtype=np.float64)
    if ys.ndim != 1 or ys.shape != xs.shape:
        raise ValueError(f"y and x are series of one length, not of shapes {ys.shape} and {xs.shape}")
    _check_window(window)
    out = np.empty((5, len(ys)))
    reason = np.empty(len(ys), dtype=np.int8)
    kernel.pair_steps(ys, xs, int(window), _CODES[Method(method)], bool(intercept), out, reason)
    return PairSeries(*out, reason=reason)


class PairStream:
    """The same figures row by row: at every position equal to ``pair_series`` bit by bit.

    What a row costs does not depend on the window, except for ``huber`` and ``theil-sen``.
    """

    __slots__ = ("_code", "_intercept", "_state", "method", "window")

    def __init__(self, window: int, method: Method = Method.OLS, *, intercept: bool = True) -> None:
        """Raises ValueError for a window below 2."""
        _check_window(window)
        self.window = int(window)
        self.method = Method(method)
        self._code = _CODES[self.method]
        self._intercept = bool(intercept)
        self._state: NDArray[np.float64] = new_state(self.window)

    def update(self, y: float, x: float) -> PairPoint:
        """Take in a row; the figures as of this row."""
        hedge_ratio, level, spread, zscore, correlation, code = kernel.pair_step(
            self._state, float(y), float(x), self._code, self._intercept, True
        )
        return PairPoint(hedge_ratio, level, spread, zscore, correlation, REASONS[code])

    def peek(self, y: float, x: float) -> PairPoint:
        """What ``update`` would answer, without taking the row in."""
        hedge_ratio, level, spread, zscore, correlation, code = kernel.pair_step(
            self._state, float(y), float(x), self._code, self._intercept, False
        )
        return PairPoint(hedge_ratio, level, spread, zscore, correlation, REASONS[code])

    def dump(self) -> bytes:
        """The state as 32 bytes per row of the window and about 340 more."""
        window = self.window
        return b"".join(
            (
                _HEADER.pack(_MAGIC, self._code, self._intercept, window),
                self._state[:window, : kernel.SNAPSHOT_COLUMNS].tobytes(),
                self._state[window:].tobytes(),
            )
        )

    @classmethod
    def load(cls, data: bytes) -> PairStream:
        """The stream that ``dump`` was called on: what it goes on to say is the same bit by bit.

        Raises ValueError where the bytes are not of ``dump``.
        """
        if len(data) < _HEADER.size:
            raise ValueError("not a snapshot of a pair stream")
        magic, code, intercept, window = _HEADER.unpack_from(data)
        if magic != _MAGIC or code not in _METHODS or window < 2:
            raise ValueError("not a snapshot of a pair stream")
        raw = np.frombuffer(data, dtype=np.float64, offset=_HEADER.size) if len(data) % 8 == 6 else None
        columns = kernel.SNAPSHOT_COLUMNS
        rest = kernel.STATE_COLUMNS * 2
        if raw is None or len(raw) != window * columns + rest:
            raise ValueError("a snapshot of a pair stream is cut off")
        stream = cls(window, _METHODS[code], intercept=bool(intercept))
        stream._state[:window, :columns] = raw[: window * columns].reshape(window, columns)
        stream._state[window:] = raw[window * columns :].reshape(2, -1)
        kernel.restore(stream._state)
        return stream


def _check_window(window: int) -> None:
    if window < 2:
        raise ValueError(f"a window has at least 2 rows, not {window}")
