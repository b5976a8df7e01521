"""Starting and stopping symbols: what each owner wants, kept in a bucket for all to see."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import structlog

from tapestream.common.bus.buckets import read_wants
from tapestream.common.contracts.feeds import DEFAULT_OWNER, readable_names, wanted_names
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import FeedWant
from tapestream.gateway.buckets import feeds_revision, write_want
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.problems import FieldError, ProblemError

log = structlog.get_logger(__name__)

MOST_OWNERS = 1000
TRIES = 20
"""Writers that meet try again; each try loses to one that succeeded."""


async def active_symbols(gateway: Gateway) -> list[str]:
    """Everything that anybody wants streaming, as it is shown outside."""
    return _shown(gateway, await read_wants(gateway.bus))


async def start(gateway: Gateway, owner: str, symbols: list[str]) -> list[str]:
    """Add symbols to what an owner wants; returns all active ones.

    Raises ProblemError: 422 for an empty list, unknown symbols, more than MAX_SYMBOLS over all
    owners, however many of them start at once, and too many owners; 409 where others keep changing what streams.
    """
    names = _checked(gateway, symbols)
    for _ in range(TRIES):
        revision = await feeds_revision(gateway.bus)
        wants = await read_wants(gateway.bus)
        had = _names(gateway, owner, wants)
        together = list(dict.fromkeys([*had, *names]))
        after = wants | {owner: _want(together)}
        everything = _union(gateway, after)
        most = gateway.settings.max_symbols
        if len(everything) > most:
            raise ProblemError(
                422,
                f"{len(everything)} symbols would stream, more than MAX_SYMBOLS",
                field="symbols",
                value=", ".join(symbols),
                allowed=f"{most} symbols at most over all owners; stop others first",
            )
        if together == had:
            return _shown(gateway, wants)
        if len(after) > MOST_OWNERS:
            raise ProblemError(
                422,
                "too many owners",
                field="owner",
                value=owner,
                allowed=f"{MOST_OWNERS} owners at most; others must stop all their symbols first",
            )
        if await write_want(gateway.bus, owner, after[owner], revision):
            return _shown(gateway, after)
    raise _contended()


async def stop(gateway: Gateway, owner: str, symbols: list[str] | None) -> tuple[list[str], list[str]]:
    """Take symbols away from what an owner wants; returns them and all that are still active.

    None means all of this owner's. Raises ProblemError: 422 for an empty list and unknown symbols, 409
    where others keep changing what streams.
    """
    names = None if symbols is None else _checked(gateway, symbols)
    for _ in range(TRIES):
        revision = await feeds_revision(gateway.bus)
        wants = await read_wants(gateway.bus)
        had = _names(gateway, owner, wants)
        left = [] if names is None else [name for name in had if name not in names]
        gone = [gateway.memory.shown(name) for name in (had if names is None else names)]
        if left == had and (owner in wants or owner != DEFAULT_OWNER):
            return gone, _shown(gateway, wants)
        after = wants | {owner: _want(left)}
        if await write_want(gateway.bus, owner, after[owner], revision):
            return gone, _shown(gateway, after)
    raise _contended()


def _contended() -> ProblemError:
    return ProblemError(409, "others are changing what streams at the same moment; try again")


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


def _names(gateway: Gateway, owner: str, wants: dict[str, FeedWant]) -> list[InstrumentName]:
    """What an owner wants now. The default one wants all on offer until it has said something."""
    venue = gateway.settings.venue
    if owner in wants:
        return readable_names(wants[owner], venue)[0]
    if owner != DEFAULT_OWNER:
        return []
    return [InstrumentName(symbol, venue) for symbol in gateway.catalog.available()]


def _want(names: Iterable[InstrumentName]) -> FeedWant:
    return FeedWant(symbols=[str(name) for name in names])


def _shown(gateway: Gateway, wants: dict[str, FeedWant]) -> list[str]:
    return sorted(gateway.memory.shown(name) for name in _union(gateway, wants))


def _union(gateway: Gateway, wants: dict[str, FeedWant]) -> set[InstrumentName]:
    """What ingest serves: the default venue's listed symbols; other venues' as they are wanted."""
    venue = gateway.settings.venue
    available = gateway.catalog.available()
    listed = set(gateway.catalog.listed() or available)
    names, unreadable = wanted_names(wants, venue, available)
    for text in unreadable:
        _tell_unreadable(text)
    return {name for name in names if name.venue != venue or name.symbol in listed}


@lru_cache(maxsize=1000)
def _tell_unreadable(text: str) -> None:
    """Once for each text, not at each request."""
    log.warning("wanted_symbol_unreadable", symbol=text[:64])
