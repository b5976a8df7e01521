"""P-values and critical values of unit-root and cointegration tests.

P-values: MacKinnon (1994), "Approximate asymptotic distribution functions for unit-root and cointegration
tests", Journal of Business & Economic Statistics 12, 167-176, tables 3 and 4: the standard normal of a
polynomial in the statistic, a quadratic in the left tail and a cubic beside it. Critical values:
MacKinnon (2010), "Critical values for cointegration tests", Queen's Economics Department working paper
1227, tables 2 and 3 (those without a constant: MacKinnon 1996): a polynomial in 1 / observations.

Tables are indexed [regression, series - 1, …], with regression 0 = none, 1 = constant, 2 = constant and
trend; one series is the ADF test, two are Engle–Granger's.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_LARGEST = np.array([[np.inf, 1.51], [2.74, 0.92], [0.70, 0.63]])
_SMALLEST = np.array([[-19.04, -19.62], [-18.83, -18.86], [-16.18, -21.15]])
_LEFT_TAIL_UP_TO = np.array([[-1.04, -1.53], [-1.61, -2.62], [-2.89, -3.19]])
_LEFT_TAIL = np.array(
    [
        [[0.6344, 1.2378, 0.032496], [1.9129, 1.3857, 0.035322]],
        [[2.1659, 1.4412, 0.038269], [2.9200, 1.5012, 0.039796]],
        [[3.2512, 1.6047, 0.049588], [3.6646, 1.5419, 0.036448]],
    ]
)
_REST = np.array(
    [
        [[0.4797, 0.93557, -0.06999, 0.033066], [1.5578, 0.85580, -0.20830, -0.033549]],
        [[1.7339, 0.93202, -0.12745, -0.010368], [2.1945, 0.64695, -0.29198, -0.042377]],
        [[2.5261, 0.61654, -0.37956, -0.060285], [2.8500, 0.52720, -0.36622, -0.051695]],
    ]
)

CRITICAL = np.array(
    [
        [
            [[-2.56574, -2.2358, -3.627, 0.0], [-1.94100, -0.2686, -3.365, 31.223], [-1.61682, 0.2656, -2.714, 25.364]],
            [[np.nan] * 4, [np.nan] * 4, [np.nan] * 4],
        ],
        [
            [[-3.43035, -6.5393, -16.786, -79.433], [-2.86154, -2.8903, -4.234, -40.040], [-2.56677, -1.5384, -2.809, 0.0]],
            [[-3.89644, -10.9519, -33.527, 0.0], [-3.33613, -6.1101, -6.823, 0.0], [-3.04445, -4.2412, -2.720, 0.0]],
        ],
        [
            [[-3.95877, -9.0531, -28.428, -134.155], [-3.41049, -4.3904, -9.036, -45.374], [-3.12705, -2.5856, -3.925, -22.380]],
            [[-4.32762, -15.4387, -35.679, 0.0], [-3.78057, -9.5106, -12.074, 0.0], [-3.49631, -7.0815, -7.538, 21.892]],
        ],
    ]
)  # fmt: skip
"""[regression, series - 1, level (1 %, 5 %, 10 %), power of 1 / observations]; two series without a
constant have none."""


@njit(cache=True)
def mackinnon_pvalue(statistic, regression, series):
    """Probability, were there a unit root, of a statistic as low as this."""
    k = series - 1
    if statistic > _LARGEST[regression, k]:
        return 1.0
    if statistic < _SMALLEST[regression, k]:
        return 0.0
    if statistic <= _LEFT_TAIL_UP_TO[regression, k]:
        c = _LEFT_TAIL[regression, k]
        z = c[0] + statistic * (c[1] + statistic * c[2])
    else:
        d = _REST[regression, k]
        z = d[0] + statistic * (d[1] + statistic * (d[2] + statistic * d[3]))
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def critical_values(regression: int, series: int, observations: int) -> dict[str, float]:
    """The statistic below which a unit root is rejected, at each level."""
    rows = CRITICAL[regression, series - 1]
    return {
        level: float(np.polyval(row[::-1], 1.0 / observations))
        for level, row in zip(("1%", "5%", "10%"), rows, strict=True)
    }
