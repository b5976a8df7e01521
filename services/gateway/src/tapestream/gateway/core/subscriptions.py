"""Reading what a WebSocket client says.

Channels are ``kind``, ``kind:argument`` or ``bars:<timeframe>:<symbol>``. Older front ends name some
of them differently; the frames of such a channel then carry that name as their ``type``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import msgspec

from tapestream.common.contracts.instruments import InstrumentName, parse_pair
from tapestream.common.contracts.pair_limits import METHODS, largest_watched_window, method_named
from tapestream.common.contracts.timeframes import timeframe_ns

ACTIONS = ("subscribe", "unsubscribe", "ping")
CHANNELS_ALLOWED = (
    "trades:SYMBOL, bars:TIMEFRAME:SYMBOL, quotes:SYMBOL, ticker:SYMBOL, gaps:SYMBOL, signals:A-B, "
    "signals:TIMEFRAME:A-B, alerts, "
    "jobs:ID, orders, positions, system_status, market_data:SYMBOL, five_second_bar:SYMBOL, "
    "trading_signals, job_updates"
)
PLAIN = {
    "alerts",
    "orders",
    "positions",
    "system_status",
    "trading_signals",
    "job_updates",
    "jobs",
    "signals",
}
"""Channels that need no symbol."""
_BY_SYMBOL = {"trades", "quotes", "ticker", "gaps", "market_data", "five_second_bar"}
_BY_ARGUMENT = {"jobs", "job_updates"}
SIGNALS_KIND, PROVISIONAL = "signals", "provisional"
"""Kinds of channels with figures of complete bars, and of the running one."""
_SIGNALS = {"signals", "trading_signals"}
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing to listen to."""

    kind: str
    """``trades``, ``bars``, ``quotes``, …"""
    name: str
    """As the client wrote it."""
    symbol: str = ""
    """``SYMBOL@venue`` where there is one."""
    timeframe: str = ""
    frame_type: str = ""
    """``type`` of the frames where it differs from the usual one."""

    @property
    def topic(self) -> str:
        """Name under which frames are published."""
        return ":".join(part for part in (self.kind, self.timeframe, self.symbol, self.frame_type) if part)


class SignalSource(NamedTuple):
    """One series of figures of a pair."""

    a: str
    """``SYMBOL@venue``."""
    b: str
    timeframe: str
    window: int
    method: str

    @property
    def text(self) -> str:
        """As a channel's symbol."""
        return f"{self.a},{self.b}|{self.timeframe}|{self.window}|{self.method}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of :attr:`text`."""
        names, timeframe, window, method = text.rsplit("|", 3)
        a, b = names.split(",")
        return cls(a, b, timeframe, int(window), method)


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with a message: the field, its value and what is allowed."""

    field: str
    value: Any
    allowed: str
    detail: str


@dataclass(frozen=True, slots=True)
class Since:
    """Where a client wants to go on from; None where it did not say."""

    trades: int | None = None
    bars: int | None = None
    ids: dict[str, int] = field(default_factory=dict)
    """Last trade id seen, by ``SYMBOL@venue``."""

    def __bool__(self) -> bool:
        return self.trades is not None or self.bars is not None or bool(self.ids)


@dataclass(frozen=True, slots=True)
class Request:
    """A client's message, understood."""

    action: str
    channels: tuple[Channel, ...] = ()
    since: Since = field(default_factory=Since)
    interval_ms: int | None = None
    batch: bool | None = None
    names_channels: bool = False
    """It has a list of channels; symbols alone do not count as one."""
    everything: bool = False
    """An unsubscribe that names nothing: all of it."""
    id: Any = None
    """Echoed in the answer."""
    faults: tuple[Fault, ...] = ()


class BadMessageError(Exception):
    """A message that cannot be acted on at all."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Reader:
    """Understands messages, given what instruments there are."""

    default_venue: str
    is_known: Callable[[InstrumentName], bool]
    known_text: Callable[[], str]
    """What symbols are allowed, for an error's text."""
    timeframes: tuple[str, ...] = ("1m",)
    """Timeframes that bars are built for; signals come of these."""
    window: int = 60
    """Bars in a window of signals where a client does not say."""
    method: str = "ols"
    signal_timeframe: str = "1m"

    def read(self, raw: str | bytes) -> Request:
        """Raises BadMessageError; wrong channels among right ones are listed in ``faults`` instead."""
        try:
            message = msgspec.json.decode(raw) if isinstance(raw, str) else msgspec.msgpack.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadMessageError(
                Fault(
                    "message",
                    _shown(raw),
                    "a JSON object (or msgpack, sent as binary)",
                    f"cannot be read: {error}",
                )
            ) from None
        if not isinstance(message, dict):
            raise BadMessageError(
                Fault("message", _shown(message), "a JSON object", "the message is not an object")
            )
        action = message.get("action", message.get("type"))
        if action not in ACTIONS:
            raise BadMessageError(
                Fault("action", _shown(action), " | ".join(ACTIONS), "this action is not known")
            )
        echo = _echo(message.get("id"))
        if action == "ping":
            return Request("ping", id=echo)
        channels, faults = self._channels(message)
        named = any(message.get(key) for key in ("channels", "symbols", "channel", "symbol"))
        names_channels = any(message.get(key) for key in ("channels", "channel"))
        if action == "unsubscribe":
            return Request(
                action,
                tuple(channels),
                names_channels=names_channels,
                everything=not named,
                id=echo,
                faults=tuple(faults),
            )
        return Request(
            action,
            tuple(channels),
            since=self._since(message.get("since")),
            interval_ms=_interval(message.get("interval_ms")),
            batch=_flag(message.get("batch")),
            names_channels=names_channels,
            id=echo,
            faults=tuple(faults),
        )

    def name_of(self, text: str) -> InstrumentName:
        """The instrument that a channel's symbol stands for."""
        return InstrumentName.parse(text, self.default_venue)

    def _channels(self, message: dict[str, Any]) -> tuple[list[Channel], list[Fault]]:
        channels: dict[str, Channel] = {}
        faults: list[Fault] = []
        bare_symbols = _texts(message, "symbols", "symbol")
        for place, text in enumerate(_texts(message, "channels", "channel")):
            found = self._channel(text, f"channels[{place}]", bare_symbols, message)
            for one in found:
                if isinstance(one, Fault):
                    faults.append(one)
                else:
                    channels[one.topic] = one
        if "channels" not in message and "channel" not in message:
            for place, text in enumerate(bare_symbols):
                name = self._symbol(text, f"symbols[{place}]")
                if isinstance(name, Fault):
                    faults.append(name)
                    continue
                for kind in ("trades", "ticker"):
                    channel = Channel(kind, f"{kind}:{text}", str(name))
                    channels[channel.topic] = channel
        return list(channels.values()), faults

    def _channel(
        self, text: Any, where: str, bare_symbols: list[Any], message: dict[str, Any]
    ) -> list[Channel | Fault]:
        if not isinstance(text, str) or not text or len(text) > _MAX_TEXT:
            return [Fault(where, _shown(text), CHANNELS_ALLOWED, "a channel is a short text")]
        kind, _, rest = text.partition(":")
        if kind == "bars":
            timeframe, _, symbol = rest.partition(":")
            return [
                self._bars(text, one, timeframe, where)
                for one in ([symbol] if symbol else bare_symbols or [""])
            ]
        if kind in _BY_SYMBOL:
            wanted = [rest] if rest else bare_symbols
            if not wanted:
                return [Fault(where, text, f"{kind}:SYMBOL", "this channel needs a symbol")]
            return [self._by_symbol(kind, text, one, where) for one in wanted]
        if kind in _SIGNALS and rest:
            return self._signals(kind, text, rest, where, message)
        if kind in PLAIN and (not rest or kind in _BY_ARGUMENT):
            if kind in _SIGNALS:
                return [Channel(SIGNALS_KIND, text, frame_type=_frame_type(kind))]
            return [Channel(kind, text, rest)]
        return [Fault(where, text, CHANNELS_ALLOWED, "this channel is not known")]

    def _by_symbol(self, kind: str, text: str, symbol: Any, where: str) -> Channel | Fault:
        name = self._symbol(symbol, where)
        if isinstance(name, Fault):
            return name
        match kind:
            case "market_data":
                return Channel("trades", text, str(name), frame_type="market_data")
            case "five_second_bar":
                return Channel("bars", text, str(name), "5s", "five_second_bar")
            case _:
                return Channel(kind, text, str(name))

    def _bars(self, text: str, symbol: Any, timeframe: str, where: str) -> Channel | Fault:
        try:
            timeframe_ns(timeframe)
        except ValueError as error:
            return Fault(where, text, "bars:TIMEFRAME:SYMBOL, such as bars:1m:BTCUSDT", str(error))
        name = self._symbol(symbol, where)
        return name if isinstance(name, Fault) else Channel("bars", text, str(name), timeframe)

    def _signals(
        self, kind: str, text: str, rest: str, where: str, message: dict[str, Any]
    ) -> list[Channel | Fault]:
        """Figures of a pair's complete bars, and with ``on_tick`` of the running one, too."""
        timeframe, colon, pair = rest.partition(":")
        if not colon:
            timeframe, pair = self.signal_timeframe, rest
        if timeframe not in self.timeframes:
            allowed = ", ".join(self.timeframes)
            return [Fault(where, text, allowed, f"no bars of {timeframe!r} are built")]
        try:
            names = parse_pair(pair, self.default_venue)
        except ValueError as error:
            return [Fault(where, text, "signals:A-B, signals:TIMEFRAME:A-B", str(error))]
        for name in names:
            if not self.is_known(name):
                return [Fault(where, text, self.known_text(), f"symbol {str(name)!r} is not known")]
        said = message.get("method", self.method)
        method = method_named(said) if isinstance(said, str) else None
        if method is None:
            return [Fault("method", _shown(said), ", ".join(METHODS), "this method is not known")]
        window, largest = message.get("window", self.window), largest_watched_window(method)
        if not _is_count(window) or not 2 <= window <= largest:
            allowed = f"2 to {largest} bars with {method}"
            return [Fault("window", _shown(window), allowed, "this is no window")]
        on_tick = message.get("on_tick", False)
        if not isinstance(on_tick, bool):
            return [Fault("on_tick", _shown(on_tick), "true or false", "this is neither")]
        source = SignalSource(str(names[0]), str(names[1]), timeframe, window, method)
        found = Channel(SIGNALS_KIND, text, source.text, frame_type=_frame_type(kind))
        if not on_tick:
            return [found]
        return [found, Channel(PROVISIONAL, text, source.text, frame_type=_frame_type(kind))]

    def _symbol(self, text: Any, where: str) -> InstrumentName | Fault:
        if not isinstance(text, str) or len(text) > _MAX_TEXT:
            return Fault(where, _shown(text), self.known_text(), "a symbol is a short text")
        try:
            name = InstrumentName.parse(text, self.default_venue)
        except ValueError as error:
            return Fault(where, _shown(text), self.known_text(), str(error))
        if not self.is_known(name):
            return Fault(where, text, self.known_text(), "this symbol is not known")
        return name

    def _since(self, value: Any) -> Since:
        if value is None:
            return Since()
        allowed = 'the seq of the last frame seen, or {"trades": seq, "bars": seq, "ids": {SYMBOL: trade id}}'
        if _is_count(value):
            return Since(trades=value, bars=None)
        if not isinstance(value, dict):
            raise BadMessageError(Fault("since", _shown(value), allowed, "this is no position"))
        for key in ("trades", "bars"):
            if value.get(key) is not None and not _is_count(value[key]):
                raise BadMessageError(
                    Fault(f"since.{key}", _shown(value[key]), allowed, "this is no position")
                )
        ids = value.get("ids") or {}
        if not isinstance(ids, dict) or not all(_is_count(one) for one in ids.values()):
            raise BadMessageError(Fault("since.ids", _shown(ids), allowed, "these are no trade ids"))
        by_name: dict[str, int] = {}
        for symbol, last in ids.items():
            name = self._symbol(symbol, "since.ids")
            if isinstance(name, Fault):
                raise BadMessageError(name)
            by_name[str(name)] = last
        return Since(value.get("trades"), value.get("bars"), by_name)


def _frame_type(kind: str) -> str:
    """``type`` of the frames of a channel that older front ends name differently."""
    return "" if kind == SIGNALS_KIND else kind


def _texts(message: dict[str, Any], many: str, one: str) -> list[Any]:
    value = message.get(many, message.get(one))
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise BadMessageError(Fault(many, _shown(value), "a list of texts", f"{many} is not a list"))
    return value


def _interval(value: Any) -> int | None:
    if value is None:
        return None
    if not _is_count(value) or not (value == 0 or 10 <= value <= 60_000):
        allowed = "10 to 60000 (the newest value of each symbol that often), or 0 for everything"
        raise BadMessageError(Fault("interval_ms", _shown(value), allowed, "this is no interval"))
    return value


def _flag(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise BadMessageError(Fault("batch", _shown(value), "true or false", "this is neither"))
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _echo(value: Any) -> Any:
    return value if isinstance(value, (str, int)) and len(str(value)) <= _MAX_TEXT else None


def _shown(value: Any) -> str:
    return (value if isinstance(value, str) else repr(value))[:_MAX_TEXT]
