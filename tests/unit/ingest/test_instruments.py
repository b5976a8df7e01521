"""When a symbol counts as delisted."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tapestream.common.contracts.messages import Instrument
from tapestream.ingest.instruments import InstrumentList
from tapestream.ingest.rest import RestError


class Venue:
    """Lists what it is told to, one list a look-up."""

    name = "somewhere"

    def __init__(self, *lists: str | None) -> None:
        self._lists = list(lists)

    async def instruments(self, _rest: object) -> list[Instrument]:
        symbols = self._lists.pop(0)
        if symbols is None:
            raise RestError(503, 0, "away")
        return [
            Instrument(venue=self.name, symbol=s, kind="spot", currency="", base="", price_step=0, qty_step=0)
            for s in symbols
        ]


def seen(*lists: str | None) -> list[str]:
    """The symbols after each look-up."""
    instruments = InstrumentList(
        cast("Any", Venue(*lists)), cast("Any", None), cast("Any", None), refresh_s=1
    )
    found: list[str] = []
    for _ in lists:
        asyncio.run(instruments._fetch())
        found.append("".join(sorted(instruments.symbols)))
    return found


def test_a_new_symbol_appears_at_once() -> None:
    assert seen("AB", "ABC") == ["AB", "ABC"]


def test_a_symbol_goes_when_two_lists_in_a_row_lack_it() -> None:
    assert seen("AB", "A", "A") == ["AB", "AB", "A"]
    assert seen("AB", "A", "AB", "A", "A") == ["AB", "AB", "AB", "AB", "A"]


def test_no_answer_and_an_empty_one_remove_nothing() -> None:
    assert seen("AB", None, "", "", "A") == ["AB"] * 5
