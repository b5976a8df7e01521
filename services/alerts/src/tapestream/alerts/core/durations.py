"""Durations and instants as users write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
LONGEST_NS = 366 * _UNITS_NS["d"]
ALLOWED_DURATION = "a number and ms, s, m, h or d (30s, 1.5m), or a number of seconds; a year at most"
ALLOWED_INSTANT = "an ISO 8601 time such as 2026-01-31T12:00:00Z (without a zone it is UTC)"
_LATEST_NS = 9_000_000_000 * 10**9


def parse_duration(value: object) -> int:
    """Nanoseconds of a duration. Raises ValueError."""
    found = -1.0
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        found = value * 1e9
    elif isinstance(value, str) and (match := _FORM.fullmatch(value.strip())):
        found = float(match[1]) * _UNITS_NS[match[2]]
    if not 0 <= found <= LONGEST_NS:
        raise ValueError("this is no duration")
    return round(found)


def format_duration(ns: int) -> str:
    """The shortest way to write a duration: ``90s``, ``5m``."""
    for unit in ("d", "h", "m", "s", "ms"):
        if ns and ns % _UNITS_NS[unit] == 0:
            return f"{ns // _UNITS_NS[unit]}{unit}"
    return f"{ns / 1e9:.9f}".rstrip("0").rstrip(".") + "s"


def parse_instant(value: object) -> int:
    """Nanoseconds since 1970 of an ISO time. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("this is no time")  # noqa: TRY004 - a wrong value of a request
    moment = datetime.fromisoformat(value.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    if not 0 < ns <= _LATEST_NS:
        raise ValueError("this is not between 1970 and 2255")
    return ns
