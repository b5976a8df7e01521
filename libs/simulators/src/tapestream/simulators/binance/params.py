"""Query parameters of REST requests, checked as Binance does."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tapestream.simulators.binance.errors import (
    IllegalParameterError,
    InvalidIntervalError,
    InvalidSymbolError,
    MissingParameterError,
)
from tapestream.simulators.candles import INTERVALS
from tapestream.simulators.market import InstrumentKey, Market

_INTEGER = re.compile(r"[0-9]{1,20}")
_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}")


class Params:
    """One request's parameters."""

    def __init__(
        self, market: Market, values: Mapping[str, str], known: Mapping[InstrumentKey, object]
    ) -> None:
        self.market, self._values, self._known = market, values, known

    def has(self, name: str) -> bool:
        return bool(self._values.get(name))

    def symbol(self) -> InstrumentKey:
        """The symbol, which has to be there and to be known."""
        if "symbol" not in self._values or not self._values["symbol"]:
            raise MissingParameterError("symbol")
        return self.known(self._values["symbol"])

    def known(self, symbol: str) -> InstrumentKey:
        if not _SYMBOL.fullmatch(symbol):
            raise IllegalParameterError("symbol", "^[A-Z0-9-_.]{1,20}$")
        key = InstrumentKey(self.market, symbol)
        if key not in self._known:
            raise InvalidSymbolError
        return key

    def integer(self, name: str) -> int | None:
        text = self._values.get(name)
        if text is None:
            return None
        if not text:
            raise MissingParameterError(name)
        if not _INTEGER.fullmatch(text):
            raise IllegalParameterError(name, "^[0-9]{1,20}$")
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """How many rows. Spot cuts what is too much, USD-M refuses it."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1 or (value > most and self.market is Market.USDM):
            raise IllegalParameterError("limit")
        return min(value, most)

    def interval(self) -> str:
        value = self._values.get("interval")
        if not value:
            raise MissingParameterError("interval")
        if value not in INTERVALS or (value == "1s" and self.market is Market.USDM):
            raise InvalidIntervalError
        return value

    def text(self, name: str) -> str | None:
        return self._values.get(name) or None
