"""The text of a firing."""

from __future__ import annotations

import re

WORDS = (
    "name", "metric", "symbol", "pair", "op", "threshold", "value", "severity", "timeframe", "time", "count",
)  # fmt: skip
_WORD = re.compile(r"\{([^{}]*)\}")


def unknown_words(template: str) -> list[str]:
    """Words in braces that nothing stands for."""
    return [word for word in _WORD.findall(template) if word not in WORDS]


def render(template: str, values: dict[str, str]) -> str:
    """The template with each ``{word}`` replaced; what is not in braces stays as it is."""
    return _WORD.sub(lambda match: values.get(match[1], match[0]), template)


def number(value: float | None) -> str:
    """A number for people: up to ten digits, without trailing zeros."""
    return "undefined" if value is None else f"{value:.10g}"
