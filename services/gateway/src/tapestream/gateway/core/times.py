"""Instants: nanoseconds inside, ISO 8601 in UTC with ``Z`` outside."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_FRACTION = re.compile(r"[.,](\d+)")
LATEST_NS = 9_000_000_000 * SECOND_NS
"""Year 2255: nanoseconds beyond it do not fit 64 bits."""
ALLOWED_TIME = (
    "an ISO 8601 time (2024-05-01T10:00:00Z; without a zone it is UTC) or seconds or milliseconds since 1970"
)


@lru_cache(maxsize=4096)
def _whole_second(second: int) -> str:
    return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso_utc(ts_ns: int) -> str:
    """``2024-05-01T10:00:00.123Z``: milliseconds, or as many digits more as the instant needs."""
    second, rest = divmod(ts_ns, SECOND_NS)
    millis, sub = divmod(rest, 1_000_000)
    if not sub:
        return f"{_whole_second(second)}.{millis:03d}Z"
    if not sub % 1000:
        return f"{_whole_second(second)}.{rest // 1000:06d}Z"
    return f"{_whole_second(second)}.{rest:09d}Z"


def parse_instant(text: str) -> int:
    """Nanoseconds since 1970 of an ISO time or of epoch seconds or milliseconds.

    A number above 1e11 is milliseconds (as seconds it would be the year 5138). Raises ValueError
    for anything else, and for instants before 1970 or after 2255.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        whole, _, fraction = text.partition(".")
        digits = 6 if abs(int(whole)) >= 100_000_000_000 else 9
        ts_ns = int(whole) * 10**digits + int((fraction + "0" * digits)[:digits])
    else:
        ts_ns = _parse_iso(text)
    if not 0 <= ts_ns <= LATEST_NS:
        raise ValueError(f"{text!r} is not between 1970 and 2255")
    return ts_ns


def _parse_iso(text: str) -> int:
    # "+" of a zone turns into a blank where a client forgot to encode it
    text = re.sub(r" (\d\d:?\d\d)$", r"+\1", text)
    fraction = _FRACTION.search(text)
    bare = text[: fraction.start()] + text[fraction.end() :] if fraction else text
    moment = datetime.fromisoformat(bare)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    nanos = int((fraction[1] + "000000000")[:9]) if fraction else 0
    return (since.days * 86_400 + since.seconds) * SECOND_NS + nanos
