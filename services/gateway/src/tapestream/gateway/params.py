"""Reading what clients ask for: symbols, periods, cursors."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import GapReason
from tapestream.gateway.core.times import ALLOWED_TIME, parse_instant
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.problems import ProblemError

SymbolPath = Annotated[str, Path(description="Symbol, or SYMBOL@venue", max_length=64, examples=["BTCUSDT"])]
SymbolQuery = Annotated[
    str, Query(description="Symbol, or SYMBOL@venue", max_length=64, examples=["BTCUSDT"])
]
Timeframe = Annotated[str, Query(description="Length of a bar", max_length=8, examples=["1s", "1m", "5m"])]
Start = Annotated[str | None, Query(description=f"Start, included: {ALLOWED_TIME}", max_length=64)]
End = Annotated[str | None, Query(description=f"End, not included: {ALLOWED_TIME}", max_length=64)]
Limit = Annotated[int, Query(ge=1, le=10_000, description="How many at most")]
Cursor = Annotated[
    str | None, Query(description="next_cursor of the page before: goes on to older ones", max_length=64)
]


def _gap_reason(value: object) -> object:
    """The bus reads a reason of a later release as one of this; a client who asks for it is wrong."""
    if value is not None and value not in set(GapReason):
        expected = ", ".join(repr(reason.value) for reason in GapReason)
        raise PydanticCustomError("enum", "Input should be {expected}", {"expected": expected})
    return value


Reason = Annotated[GapReason | None, BeforeValidator(_gap_reason), Query(description="Only these")]


def known_symbol(gateway: Gateway, text: str) -> InstrumentName:
    """The instrument of a path. Raises ProblemError (404) that says which there are."""
    try:
        name = InstrumentName.parse(text, gateway.settings.venue)
    except ValueError as error:
        raise ProblemError(
            404, str(error), field="symbol", value=text, allowed=gateway.catalog.allowed_text()
        ) from None
    if not gateway.is_known(name):
        detail = f"symbol {text[:64]!r} is not known"
        raise ProblemError(404, detail, field="symbol", value=text, allowed=gateway.catalog.allowed_text())
    return name


def period(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """A period in nanoseconds. Raises ProblemError (422) for what is no time and for an inverted one."""
    start_ns, end_ns = instant("start", start), instant("end", end)
    if start_ns is not None and end_ns is not None and end_ns <= start_ns:
        raise ProblemError(
            422, "end is not after start", field="end", value=end, allowed=f"a time after start ({start})"
        )
    return start_ns, end_ns


def instant(field: str, text: str | None) -> int | None:
    """One time in nanoseconds. Raises ProblemError (422) for what is none."""
    if text is None or not text.strip():
        return None
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        detail = f"{field} is no time: {error}"
        raise ProblemError(422, detail, field=field, value=text, allowed=ALLOWED_TIME) from None


def position_of(cursor: str | None) -> int | None:
    """The position in a cursor. Raises ProblemError (422) for what is none."""
    if cursor is None or not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) >= 1 << 63:
        raise ProblemError(
            422, "this is no cursor", field="cursor", value=cursor, allowed="next_cursor of an answer"
        )
    return int(cursor)
