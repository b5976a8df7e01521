"""Starting and stopping symbols: what each owner wants, kept in a bucket for all to see."""

from __future__ import annotations

from collections.abc import Iterable

from nats.js.errors import KeyWrongLastSequenceError

from tapestream.common.contracts.feeds import DEFAULT_OWNER, wanted_symbols
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import FeedWant
from tapestream.gateway.buckets import read_want, read_wants, write_want
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.problems import FieldError, ProblemError

TRIES = 20
"""Writers that meet try again; each try loses to one that succeeded."""


async def active_symbols(gateway: Gateway) -> list[str]:
    """Everything that anybody wants streaming, as it is shown outside."""
    wants = await read_wants(gateway.bus)
    return sorted(gateway.memory.shown(name) for name in _union(gateway, wants))


async def start(gateway: Gateway, owner: str, symbols: list[str]) -> list[str]:
    """Add symbols to what an owner wants; returns all active ones.

    Raises ProblemError (422) for an empty list, unknown symbols, and more than MAX_SYMBOLS.
    """
    names = _checked(gateway, symbols)
    for _ in range(TRIES):
        want, revision = await read_want(gateway.bus, owner)
        had = _names(gateway, owner, want)
        together = list(dict.fromkeys([*had, *names]))
        others = {k: v for k, v in (await read_wants(gateway.bus)).items() if k != owner}
        everything = _union(gateway, others | {owner: _want(together)})
        most = gateway.settings.max_symbols
        if len(everything) > most:
            raise ProblemError(
                422,
                f"{len(everything)} symbols would stream, more than MAX_SYMBOLS",
                field="symbols",
                value=", ".join(symbols),
                allowed=f"{most} symbols at most over all owners; stop others first",
            )
        if together == had or await write_want(gateway.bus, owner, _want(together), revision):
            return await active_symbols(gateway)
    raise KeyWrongLastSequenceError(description="too many writers")


async def stop(gateway: Gateway, owner: str, symbols: list[str] | None) -> tuple[list[str], list[str]]:
    """Take symbols away from what an owner wants; returns them and all that are still active.

    None means all of this owner's. Raises ProblemError (422) for an empty list and unknown symbols.
    """
    names = None if symbols is None else _checked(gateway, symbols)
    for _ in range(TRIES):
        want, revision = await read_want(gateway.bus, owner)
        had = _names(gateway, owner, want)
        left = [] if names is None else [name for name in had if name not in names]
        gone = had if names is None else names
        unchanged = left == had and (want is not None or owner != DEFAULT_OWNER)
        if unchanged or await write_want(gateway.bus, owner, _want(left), revision):
            return [gateway.memory.shown(name) for name in gone], await active_symbols(gateway)
    raise KeyWrongLastSequenceError(description="too many writers")


def _checked(gateway: Gateway, symbols: list[str]) -> list[InstrumentName]:
    allowed = gateway.catalog.allowed_text()
    if not symbols:
        raise ProblemError(422, "symbols is empty", field="symbols", value="[]", allowed=allowed)
    names: list[InstrumentName] = []
    wrong: list[FieldError] = []
    for place, text in enumerate(symbols):
        try:
            name = InstrumentName.parse(text, gateway.settings.venue)
        except ValueError as error:
            wrong.append(_wrong(place, text, allowed, str(error)))
            continue
        if not gateway.catalog.may_start(name):
            wrong.append(_wrong(place, text, allowed, f"symbol {text[:64]!r} is not known"))
        elif name not in names:
            names.append(name)
    if wrong:
        problem = ProblemError(422, "; ".join(one.detail for one in wrong[:5]))
        problem.errors = wrong[:50]
        raise problem
    most = gateway.settings.max_symbols
    if len(names) > most:
        raise ProblemError(
            422,
            f"{len(names)} symbols are more than MAX_SYMBOLS",
            field="symbols",
            value=", ".join(symbols),
            allowed=f"{most} symbols at most",
        )
    return names


def _wrong(place: int, text: str, allowed: str, detail: str) -> FieldError:
    return FieldError(
        field=f"symbols.{place}",
        value=text[:64].encode("utf-8", "replace").decode(),
        allowed=allowed,
        detail=detail,
    )


def _names(gateway: Gateway, owner: str, want: FeedWant | None) -> list[InstrumentName]:
    """What an owner wants now. The default one wants all on offer until it has said something."""
    venue = gateway.settings.venue
    if want is not None:
        return [InstrumentName.parse(text, venue) for text in want.symbols]
    if owner != DEFAULT_OWNER:
        return []
    return [InstrumentName(symbol, venue) for symbol in gateway.catalog.available()]


def _want(names: Iterable[InstrumentName]) -> FeedWant:
    return FeedWant(symbols=[str(name) for name in names])


def _union(gateway: Gateway, wants: dict[str, FeedWant]) -> set[InstrumentName]:
    """As ingest computes it for the default venue; other venues' symbols as they are written."""
    venue = gateway.settings.venue
    available = gateway.catalog.available()
    listed = gateway.catalog.listed() or available
    union = {
        InstrumentName(symbol, venue) for symbol in wanted_symbols(wants, venue, available, listed).symbols
    }
    for want in wants.values():
        names = (InstrumentName.parse(text, venue) for text in want.symbols)
        union |= {name for name in names if name.venue != venue}
    return union
