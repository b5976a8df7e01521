"""Subjects are built and parsed here and nowhere else.

A subject token holds ``A-Z a-z 0-9 _ -``; any other character of a symbol is percent-encoded
(``BRK B`` travels as ``BRK%20B``). A prefix moves a whole system beside the live one: with prefix
``replay`` every subject starts with ``replay.`` and every stream and bucket with ``REPLAY_``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from tapestream.common.contracts.instruments import InstrumentName

_PLAIN = re.compile(r"[^A-Za-z0-9_-]")
_PREFIX = re.compile(r"[a-z0-9_-]*")


def encode_token(text: str) -> str:
    """One subject token that holds any symbol."""
    return _PLAIN.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode()), text)


def decode_token(token: str) -> str:
    """The inverse of :func:`encode_token`."""
    return unquote(token)


def instrument_key(venue: str, symbol: str) -> str:
    """Key of an instrument in its bucket, where ``%`` is not allowed."""
    return f"{encode_token(venue)}.{encode_token(symbol)}".replace("%", "=")


class MarketSubject(NamedTuple):
    """``md.<kind>.<venue>.<symbol>`` taken apart; ``timeframe`` is set for bars only."""

    kind: str
    venue: str
    symbol: str
    timeframe: str | None = None


class PairSubject(NamedTuple):
    """``sig.pair.<timeframe>.<venueA>.<A>.<venueB>.<B>`` taken apart."""

    timeframe: str
    a: InstrumentName
    b: InstrumentName


def _tokens(name: InstrumentName) -> tuple[str, str]:
    return encode_token(name.venue), encode_token(name.symbol)


@dataclass(frozen=True)
class Subjects:
    """Every subject, stream name and bucket name of one system."""

    prefix: str = ""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f"subject prefix {self.prefix!r}: use a-z, 0-9, _ and - only")

    def _subject(self, *tokens: str) -> str:
        return ".".join((self.prefix, *tokens) if self.prefix else tokens)

    def stream(self, name: str) -> str:
        """Name of a stream or a key-value bucket in this system."""
        return f"{self.prefix.upper()}_{name}" if self.prefix else name

    # market data
    def trade(self, venue: str, symbol: str) -> str:
        return self._subject("md", "trade", encode_token(venue), encode_token(symbol))

    def backfill(self, venue: str, symbol: str) -> str:
        """Trades that came after later ones were already published (see ``TradeBatch``)."""
        return self._subject("md", "backfill", encode_token(venue), encode_token(symbol))

    def quote(self, venue: str, symbol: str) -> str:
        return self._subject("md", "quote", encode_token(venue), encode_token(symbol))

    def kline(self, venue: str, symbol: str) -> str:
        """Bars of the venue's own making, for the time before trades were recorded."""
        return self._subject("md", "kline", encode_token(venue), encode_token(symbol))

    def clock(self, venue: str) -> str:
        return self._subject("md", "clock", encode_token(venue))

    def bar(self, timeframe: str, venue: str, symbol: str) -> str:
        return self._subject("md", "bar", timeframe, encode_token(venue), encode_token(symbol))

    def gap(self, venue: str, symbol: str) -> str:
        return self._subject("md", "gap", encode_token(venue), encode_token(symbol))

    def market(self, kind: str) -> str:
        """Filter for everything of one kind: ``market("trade")`` is ``md.trade.>``."""
        return self._subject("md", kind, ">")

    def parse_market(self, subject: str) -> MarketSubject:
        """Take a market data subject apart. Raises ValueError for any other subject."""
        bare = subject.removeprefix(f"{self.prefix}.") if self.prefix else subject
        match bare.split("."):
            case ["md", "bar", timeframe, venue, symbol]:
                return MarketSubject("bar", decode_token(venue), decode_token(symbol), timeframe)
            case ["md", "clock", venue]:
                return MarketSubject("clock", decode_token(venue), "")
            case ["md", ("trade" | "backfill" | "quote" | "kline" | "gap") as kind, venue, symbol]:
                return MarketSubject(kind, decode_token(venue), decode_token(symbol))
            case _:
                raise ValueError(f"{subject!r} is not a market data subject")

    # signals and alerts
    def pair_signal(self, timeframe: str, a: InstrumentName, b: InstrumentName) -> str:
        """Figures of a pair on complete bars."""
        return self._subject("sig", "pair", timeframe, *_tokens(a), *_tokens(b))

    def pair_tick(self, timeframe: str, a: InstrumentName, b: InstrumentName) -> str:
        """Provisional figures of a pair, sent with each batch of trades and kept by no stream."""
        return self._subject("tick", "pair", timeframe, *_tokens(a), *_tokens(b))

    def radar(self, timeframe: str) -> str:
        return self._subject("sig", "radar", timeframe)

    def all_signals(self) -> str:
        return self._subject("sig", ">")

    def all_pair_signals(self) -> str:
        return self._subject("sig", "pair", ">")

    def all_pair_ticks(self) -> str:
        return self._subject("tick", "pair", ">")

    def parse_pair(self, subject: str) -> PairSubject:
        """Take a subject of pair figures apart. Raises ValueError for any other subject."""
        bare = subject.removeprefix(f"{self.prefix}.") if self.prefix else subject
        match bare.split("."):
            case ["sig" | "tick", "pair", timeframe, venue_a, symbol_a, venue_b, symbol_b]:
                return PairSubject(
                    timeframe,
                    InstrumentName(decode_token(symbol_a), decode_token(venue_a)),
                    InstrumentName(decode_token(symbol_b), decode_token(venue_b)),
                )
            case _:
                raise ValueError(f"{subject!r} is not a subject of pair figures")

    def alert_fired(self, rule_id: int) -> str:
        return self._subject("alert", "fired", str(rule_id))

    def all_alerts(self) -> str:
        return self._subject("alert", ">")

    # operations
    def status(self, service: str, instance: str) -> str:
        return self._subject("ops", "status", service, encode_token(instance))

    def all_status(self) -> str:
        return self._subject("ops", "status", ">")

    def dead_letter(self, stream: str, consumer: str) -> str:
        return self._subject("dlq", stream, consumer)

    def all_dead_letters(self) -> str:
        return self._subject("dlq", ">")

    def rpc(self, service: str, verb: str) -> str:
        return self._subject("rpc", service, verb)
