"""Feeds are declared per owner; ingest serves the union, so one owner's stop starves nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import FeedWant

DEFAULT_OWNER = "default"
"""Whoever uses the API without a name. Until it has said what it wants, it wants all on offer."""
MAJORS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT")


class Wanted(NamedTuple):
    symbols: list[str]
    """Symbols of the venue to stream, sorted."""
    unknown: set[str]
    """Symbols that somebody wants and the venue does not list."""


def available_symbols(listed: Iterable[str], configured: list[str], max_symbols: int) -> list[str]:
    """Symbols on offer: those configured, or all where the venue lists only a few, or the majors.

    A simulator that replays a recording lists just the recording's symbols, which are thereby on
    offer, and so streamed, by default.
    """
    known = list(dict.fromkeys(listed))
    if configured:
        return [symbol for symbol in configured if symbol in known]
    if len(known) <= max_symbols:
        return known
    return [symbol for symbol in MAJORS if symbol in known]


def wanted_symbols(
    wants: Mapping[str, FeedWant], venue: str, available: list[str], listed: Iterable[str] | None = None
) -> Wanted:
    """The union of what owners want of one venue."""
    known = set(available if listed is None else listed)
    names, unreadable = wanted_names(wants, venue, available)
    symbols = {name.symbol for name in names if name.venue == venue}
    return Wanted(sorted(symbols & known), (symbols - known) | unreadable)


def wanted_names(
    wants: Mapping[str, FeedWant], venue: str, available: list[str]
) -> tuple[set[InstrumentName], set[str]]:
    """The union of what owners want of all venues, listed or not, and what cannot be read.

    ``venue`` is the default one, whose ``available`` symbols count until the default owner has spoken.
    """
    names: set[InstrumentName] = set()
    if DEFAULT_OWNER not in wants:
        names = {InstrumentName(symbol, venue) for symbol in available}
    unreadable: set[str] = set()
    for want in wants.values():
        own, wrong = readable_names(want, venue)
        names.update(own)
        unreadable.update(wrong)
    return names, unreadable


def readable_names(want: FeedWant, venue: str) -> tuple[list[InstrumentName], list[str]]:
    """What one owner wants, each once, and the texts that are no instrument's name."""
    names: dict[InstrumentName, None] = {}
    unreadable: list[str] = []
    for text in want.symbols:
        try:
            names[InstrumentName.parse(text, venue)] = None
        except ValueError:
            unreadable.append(text)
    return list(names), unreadable
