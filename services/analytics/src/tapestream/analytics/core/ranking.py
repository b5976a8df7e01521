"""The radar's order of pairs, the most tradable first."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tapestream.analytics.core.pair import number
from tapestream.common.contracts.signals import RadarRow
from tapestream.quant.radar import radar_scores
from tapestream.quant.reasons import REASONS

SIGNIFICANT = 0.05
SHORTEST_HALF_LIFE, LONGEST_HALF_LIFE = 1.0, 100.0
"""Bars: a spread that is back within one bar is noise, one that takes a hundred ties up money."""


def ranked(names: list[str], closes: npt.NDArray[np.float64], window: int) -> list[RadarRow]:
    """Every pair of ``names`` scored over their ``closes`` [names, bars], NaN where there is no bar, and
    put in order. Correlation and z-score are over the last ``window`` bars that both have.

    Rule: pairs that are cointegrated at 5 % come before those that are not. Among either, in order:
    the half-life lies between 1 and 100 bars; the smaller p-value of the cointegration test; the larger
    absolute correlation; the larger absolute z-score. A figure that is undefined counts as the worst.
    """
    scores = radar_scores(closes, window)
    pvalue = np.nan_to_num(scores.pvalue, nan=math.inf)
    tradable = (scores.half_life >= SHORTEST_HALF_LIFE) & (scores.half_life <= LONGEST_HALF_LIFE)
    order = np.lexsort(
        (
            -np.nan_to_num(np.abs(scores.zscore), nan=-1.0),
            -np.nan_to_num(np.abs(scores.correlation), nan=-1.0),
            pvalue,
            ~tradable,
            pvalue >= SIGNIFICANT,
        )
    )
    return [
        RadarRow(
            rank=rank,
            a=names[scores.i[at]],
            b=names[scores.j[at]],
            pvalue=number(float(scores.pvalue[at])),
            half_life_bars=number(float(scores.half_life[at])),
            correlation=number(float(scores.correlation[at])),
            zscore=number(float(scores.zscore[at])),
            hedge_ratio=number(float(scores.hedge_ratio[at])),
            reason=_reason(int(scores.reason[at])),
        )
        for rank, at in enumerate(order.tolist(), 1)
    ]


def _reason(code: int) -> str:
    reason = REASONS[code]
    return reason.value if reason else ""


def grid(
    series: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]],
    newest_ns: int,
    length_ns: int,
    bars: int,
) -> npt.NDArray[np.float64]:
    """Closes [series, bars] on the bars that end with the one at ``newest_ns``; NaN where there is none."""
    table = np.full((len(series), bars), np.nan)
    for row, (ts_ns, close) in enumerate(series):
        at = bars - 1 - (newest_ns - ts_ns) // length_ns
        inside = (at >= 0) & (at < bars)
        table[row, at[inside]] = close[inside]
    return table
