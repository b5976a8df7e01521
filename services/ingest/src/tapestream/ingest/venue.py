"""What a venue must answer; the connection loop, the ordering and the filling are shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tapestream.common.contracts.messages import Bar, GapReason, Instrument
from tapestream.ingest.core.trades import Trade
from tapestream.ingest.rest import VenueRest


class Sink(Protocol):
    """Where a venue's parser puts what it read. Times are event times of the venue."""

    def trade(
        self,
        symbol: str,
        trade_id: int,
        ts_ns: int,
        price: float,
        qty: float,
        buyer_maker: bool,
        kind: str,
        event_ns: int,
    ) -> None: ...

    def quote(
        self, symbol: str, update_id: int, ts_ns: int, bid: float, bid_qty: float, ask: float, ask_qty: float
    ) -> None: ...

    def reply(self, request_id: int, error: str) -> None:
        """The venue answered a request of ours; ``error`` is empty where it agreed."""
        ...


class FrameError(ValueError):
    """A frame that cannot be what the venue documents."""


class Route(NamedTuple):
    """One kind of connection to a venue."""

    name: str
    path: str
    """Path below the venue's WebSocket base."""
    stream_of: Callable[[str], str]
    """Symbol → name of its stream."""
    parse: Callable[[bytes | memoryview, Sink], None]
    """Reads one frame into the sink. Raises FrameError for rubbish."""
    carries_trades: bool


class History(NamedTuple):
    """What a venue's REST had of a range of trade ids."""

    trades: Sequence[Trade]
    covered_to: int
    """The answer is complete from the asked id up to this one: what it leaves out was not published."""
    missing: GapReason | None = None
    """Set where the beginning of the range, up to ``missing_to``, cannot be had, and why."""
    missing_to: int = -1


class Venue(Protocol):
    """A handful of answers, one small file each in ``venues/``."""

    name: str
    ws_url: str
    """Where the real venue is."""
    rest_url: str
    weight_per_minute: int
    routes: tuple[Route, ...]

    def subscribe(self, streams: Sequence[str], request_id: int) -> bytes: ...

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> bytes: ...

    async def instruments(self, rest: VenueRest) -> list[Instrument]: ...

    async def trades_since(self, rest: VenueRest, symbol: str, from_id: int, to_id: int) -> History:
        """Trades from ``from_id`` on; ``to_id`` is the end of the hole."""
        ...

    async def latest_trades(self, rest: VenueRest, symbol: str) -> Sequence[Trade]:
        """The most recent trades, ids ascending."""
        ...

    async def bars(
        self, rest: VenueRest, symbol: str, timeframe: str, start_ns: int, end_ns: int, limit: int
    ) -> list[Bar]:
        """Complete bars of the venue's own making; empty where it has no such timeframe."""
        ...
