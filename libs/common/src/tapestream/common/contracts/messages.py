"""Every message on the bus, version 1.

Messages are frozen and travel as UTF-8 JSON, so that ``nats sub 'md.>'`` reads. Changes are
additive: unknown fields are ignored, new fields have defaults, and a breaking change is a new
subject. ``tests/contract/golden`` holds each released version as it was on the wire.

Event times are ``ts_ns``: nanoseconds since 1970 UTC. Prices and quantities are JSON numbers with
the venue's own decimals.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TypeVar

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every message."""

    v: int = 1
    """Version of the payload's form."""


class TradeKind(IntEnum):
    """Why a trade happened. Only ``MARKET`` trades make bars; the others distort them."""

    MARKET = 0
    INSURANCE_FUND = 1
    ADL = 2
    NA = 3
    OTHER = 99


class GapReason(StrEnum):
    FILLED = "filled"
    """Had over REST."""
    NOT_PUBLISHED_BY_VENUE = "not_published_by_venue"
    """The venue's history covers the range and leaves these ids out."""
    NO_KEY = "no_key"
    """The venue serves this history only to holders of an API key."""
    EXPIRED = "expired"
    """The venue's history does not reach back that far."""
    LOST = "lost"
    """Not had in time, or the stream dropped it before it was recorded."""

    @classmethod
    def _missing_(cls, value: object) -> GapReason:  # noqa: ARG003
        """A reason of a later release: the trades are not there, and this release cannot say more."""
        return cls.LOST


class GapRange(msgspec.Struct, frozen=True, array_like=True):
    """``[from_id, to_id, reason]``, both ends included."""

    from_id: int
    to_id: int
    reason: GapReason


class TradeBatch(Message, frozen=True, kw_only=True):
    """Trades of one symbol since the last flush, column by column, ids ascending.

    On ``md.trade.…`` ids only ever grow: a hole is resolved (filled or declared) before anything
    behind it is published, and the batch that resolves it says so in ``gaps``, so that trades and
    the account of missing ones can never come apart. Trades that turn up after their hole was
    declared travel on ``md.backfill.…``.
    """

    venue: str
    symbol: str
    recv_ns: int
    """When the first of them was received, by the host's clock."""
    prev_id: int
    """Id of the trade published before this batch, -1 if none: where it is greater than the last
    id a reader has seen, the stream overtook that reader."""
    id: list[int]
    ts_ns: list[int]
    price: list[float]
    qty: list[float]
    buyer_maker: list[bool]
    """True where the buyer's order was resting, so that the seller was the aggressor."""
    kind: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Names of :class:`TradeKind`, one a trade; left out where all are ``MARKET``."""
    gaps: list[GapRange] | msgspec.UnsetType = msgspec.UNSET
    """Ranges among its ids that the socket did not bring. ``filled`` ones are among its trades; the
    others are missing, unless ``md.backfill.…`` brings them later."""

    @property
    def last_id(self) -> int:
        return self.id[-1]


class QuoteBatch(Message, frozen=True, kw_only=True):
    """Best bid and ask of one symbol since the last flush, column by column, ids ascending."""

    venue: str
    symbol: str
    recv_ns: int
    id: list[int]
    """The venue's update id."""
    ts_ns: list[int]
    bid: list[float]
    bid_qty: list[float]
    ask: list[float]
    ask_qty: list[float]


class Clock(Message, frozen=True, kw_only=True):
    """The watermark of a venue: nothing older than ``ts_ns`` is on its way any more.

    It stalls at a hole until that is filled or declared. All timers run from it.
    """

    venue: str
    ts_ns: int
    recv_ns: int


class BarSource(StrEnum):
    TRADES = "trades"
    VENUE = "venue"
    """Taken from the venue's own klines, for the time before trades were recorded."""
    PARTIAL = "partial"
    """Made from trades, of the interval in which their recording began: earlier ones may be missing."""

    @classmethod
    def _missing_(cls, value: object) -> BarSource:  # noqa: ARG003
        """A source of a later release counts least."""
        return cls.PARTIAL

    @property
    def rank(self) -> int:
        """Of two bars of one interval the one with the higher rank stands."""
        return ("partial", "venue", "trades").index(self)


class Bar(Message, frozen=True, kw_only=True):
    """Open, high, low, close and volume of one interval that had trades.

    Sums are exact decimal sums, rounded once to float64.
    """

    venue: str
    symbol: str
    timeframe: str
    ts_ns: int
    """Start of the interval."""
    open: float
    high: float
    low: float
    close: float
    volume: float
    """Sum of quantities, in the base asset."""
    quote_volume: float
    """Sum of price times quantity."""
    buy_volume: float
    """The part of ``volume`` where the buyer was the aggressor."""
    trades: int
    first_id: int
    last_id: int
    complete: bool
    rev: int = 0
    """Raised by one each time that late trades change a bar which was published as complete."""
    source: BarSource = BarSource.TRADES


class KlineBatch(Message, frozen=True, kw_only=True):
    """Complete bars of the venue's own making, all of one symbol, for the program that writes bars.

    They fill the time before trades were recorded and never replace what trades made.
    """

    venue: str
    symbol: str
    bars: list[Bar]


class Gap(Message, frozen=True, kw_only=True):
    """A range of trade ids (both ends included) that did not arrive in order, and what became of it."""

    venue: str
    symbol: str
    from_id: int
    to_id: int
    from_ts_ns: int
    """Time of the last trade before the hole; 0 where unknown."""
    to_ts_ns: int
    """Time of the first trade after the hole; 0 where unknown."""
    reason: GapReason
    detected_ns: int


class Instrument(Message, frozen=True, kw_only=True):
    """What can be streamed. Kept in the key-value bucket ``instruments`` under ``venue.symbol``."""

    venue: str
    symbol: str
    kind: str
    """``spot``, ``perpetual``, ``future``, ``stock``, …"""
    currency: str
    base: str
    price_step: float
    qty_step: float
    multiplier: float = 1.0
    session: str = "24x7"
    contract_id: int | None = None
    """The broker's contract id, where there is one."""


class FeedWant(Message, frozen=True, kw_only=True):
    """The symbols that one owner wants streaming. Kept in the bucket ``feeds`` under the owner's name."""

    symbols: list[str]
    """``SYMBOL@venue``."""


class ServiceStatus(Message, frozen=True, kw_only=True):
    """Heartbeat of a process, once a second."""

    service: str
    instance: str
    ts_ns: int
    ready: bool
    detail: dict[str, str]
    """What is not well, by component; empty when all is."""
    figures: dict[str, float]


class BackfillRequest(Message, frozen=True, kw_only=True):
    """``rpc.ingest.backfill``: fetch the venue's history of a symbol and period."""

    symbol: str
    """``SYMBOL@venue``."""
    start_ns: int
    end_ns: int
    timeframe: str


class BackfillReply(Message, frozen=True, kw_only=True):
    published: int = 0
    """Bars published by this call."""
    error: str = ""


class CleanRequest(Message, frozen=True, kw_only=True):
    """``rpc.recorder.clean``: delete the history before an instant."""

    older_than_ns: int


class CleanReply(Message, frozen=True, kw_only=True):
    deleted: dict[str, int] = {}
    """Table → rows."""
    dropped_partitions: list[str] = []
    """Days that were dropped as a whole."""
    error: str = ""


_M = TypeVar("_M", bound=Message)
_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""JSON bytes of a message."""


def decoder(message_type: type[_M]) -> msgspec.json.Decoder[_M]:
    """A reusable decoder: it ignores unknown fields and raises msgspec.DecodeError for malformed input."""
    return msgspec.json.Decoder(message_type)
