"""What the operators mean.

All are levels, true for as long as the metric is where it should be. ``crosses_above`` is ``>`` that
counts only once the metric has been at or below the threshold while the rule was looking, so a rule made
above it does not fire until the metric has come back and crossed; ``crosses_below`` is its mirror image.
"""

from __future__ import annotations

from tapestream.common.contracts.alerts import ConditionState

OPERATORS = (">", "<", ">=", "<=", "==", "crosses_above", "crosses_below")


def update(state: ConditionState, op: str, value: float, threshold: float, hysteresis: float) -> None:
    """Take in a value of the metric.

    ``holds`` and ``cleared`` are never true together; with hysteresis 0 one of them always is, but for a
    cross that has not happened.
    """
    state.value = value
    match op:
        case ">":
            state.holds, state.cleared = value > threshold, value <= threshold - hysteresis
        case ">=":
            state.holds, state.cleared = value >= threshold, value < threshold - hysteresis
        case "<":
            state.holds, state.cleared = value < threshold, value >= threshold + hysteresis
        case "<=":
            state.holds, state.cleared = value <= threshold, value > threshold + hysteresis
        case "==":
            away = value < threshold - hysteresis or value > threshold + hysteresis
            state.holds, state.cleared = value == threshold, away
        case "crosses_above":
            state.crossed_from = state.crossed_from or value <= threshold
            state.holds = value > threshold and state.crossed_from
            state.cleared = value <= threshold - hysteresis
        case _:  # crosses_below
            state.crossed_from = state.crossed_from or value >= threshold
            state.holds = value < threshold and state.crossed_from
            state.cleared = value >= threshold + hysteresis


def undefined(state: ConditionState) -> None:
    """The metric has no value now: the condition neither holds, nor has it cleared."""
    state.value, state.holds, state.cleared = None, False, False


def breakpoints(op: str, threshold: float, hysteresis: float) -> list[float]:
    """Values at which a condition may change: while the metric stays between two of them it does not."""
    if not hysteresis:
        return [threshold]
    match op:
        case ">" | ">=" | "crosses_above":
            return [threshold - hysteresis, threshold]
        case "==":
            return [threshold - hysteresis, threshold, threshold + hysteresis]
        case _:
            return [threshold, threshold + hysteresis]
