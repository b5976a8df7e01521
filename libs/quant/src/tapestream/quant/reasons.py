"""Why a figure is undefined: said in words where services read it, as a small integer in kernels."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """What makes a figure undefined. Its place in the list, from 1, is its code in arrays."""

    TOO_SHORT = "too_short"
    """There are fewer rows than the figure needs."""
    NOT_FINITE = "not_finite"
    """A row holds NaN, infinity or a number above 1e150, whose square no float64 holds."""
    CONSTANT = "constant"
    """A series does not change by more than rounding, so nothing can be scaled by its deviation."""
    COLLINEAR = "collinear"
    """One series is a linear function of the others up to rounding: what is left over is noise of the computer."""
    NO_SLOPE = "no_slope"
    """The line of best fit is vertical or has no direction."""
    NOT_CONVERGED = "not_converged"
    """An iteration did not settle."""
    NOT_MEAN_REVERTING = "not_mean_reverting"
    """The series does not return to its mean: its AR(1) coefficient is not inside (-1, 1)."""


REASONS: tuple[Reason | None, ...] = (None, *Reason)
"""Code → reason; 0 stands for no reason, a figure that is fine."""

FINE = 0
TOO_SHORT = 1
NOT_FINITE = 2
CONSTANT = 3
COLLINEAR = 4
NO_SLOPE = 5
NOT_CONVERGED = 6
NOT_MEAN_REVERTING = 7
