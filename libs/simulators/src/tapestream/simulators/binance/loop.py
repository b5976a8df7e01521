"""A tape's frame as it is sent in a later round: ids and times moved on, all else as recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tapestream.simulators.binance.streams import Kind

_EVENT_TIME, _TRADE_ID, _AGG_ID, _UPDATE = "time", "trade", "agg", "update"
_FIELDS: dict[Kind, dict[bytes, str]] = {
    Kind.TRADE: {b"E": _EVENT_TIME, b"T": _EVENT_TIME, b"t": _TRADE_ID},
    Kind.AGG_TRADE: {
        b"E": _EVENT_TIME,
        b"T": _EVENT_TIME,
        b"a": _AGG_ID,
        b"f": _TRADE_ID,
        b"l": _TRADE_ID,
    },
    Kind.BOOK_TICKER: {b"E": _EVENT_TIME, b"T": _EVENT_TIME, b"u": _UPDATE},
    Kind.DEPTH: {b"E": _EVENT_TIME, b"T": _EVENT_TIME, b"U": _UPDATE, b"u": _UPDATE, b"pu": _UPDATE},
    Kind.PARTIAL_DEPTH: {b"E": _EVENT_TIME, b"T": _EVENT_TIME, b"lastUpdateId": _UPDATE},
    Kind.KLINE: {
        b"E": _EVENT_TIME,
        b"t": _EVENT_TIME,
        b"T": _EVENT_TIME,
        b"f": _TRADE_ID,
        b"L": _TRADE_ID,
    },
    Kind.TICKER: {
        b"E": _EVENT_TIME,
        b"O": _EVENT_TIME,
        b"C": _EVENT_TIME,
        b"F": _TRADE_ID,
        b"L": _TRADE_ID,
    },
}
_OTHER = {b"E": _EVENT_TIME, b"T": _EVENT_TIME}
_PATTERNS = {
    kind: re.compile(rb'"(' + b"|".join(sorted(names, key=len, reverse=True)) + rb')":(\d+)')
    for kind, names in [*_FIELDS.items(), (Kind.UNKNOWN, _OTHER)]
}


def shifted(payload: bytes, kind: Kind, rounds: int, loop_ns: int, span: Mapping[Kind, int]) -> bytes:
    """The payload of a frame in round ``rounds`` (0 is the first, which is as recorded)."""
    if not rounds:
        return payload
    known = kind if kind in _FIELDS else Kind.UNKNOWN
    meaning = _FIELDS.get(known, _OTHER)
    update_kind = Kind.DEPTH if kind is Kind.PARTIAL_DEPTH else kind
    delta = {
        _EVENT_TIME: rounds * loop_ns // 1_000_000,
        _TRADE_ID: rounds * span.get(Kind.TRADE, 0),
        _AGG_ID: rounds * span.get(Kind.AGG_TRADE, 0),
        _UPDATE: rounds * span.get(update_kind, 0),
    }

    def move(found: re.Match[bytes]) -> bytes:
        name = found[1]
        return b'"%b":%d' % (name, int(found[2]) + delta[meaning[name]])

    return _PATTERNS[known].sub(move, payload)
