"""Request weights per minute and address, as each market counts them. Pure: the time comes from outside."""

from __future__ import annotations

from tapestream.simulators.binance.errors import TooManyRequestsError
from tapestream.simulators.market import Market

REAL_LIMITS = {Market.SPOT: 6000, Market.USDM: 2400}

_SPOT = {"exchangeInfo": 20, "trades": 25, "historicalTrades": 25, "aggTrades": 4, "klines": 2, "uiKlines": 2}
_USDM = {"exchangeInfo": 1, "trades": 5, "historicalTrades": 20, "aggTrades": 20}
_TICKERS = {  # with a symbol, without
    Market.SPOT: {"ticker/24hr": (2, 80), "ticker/price": (2, 4), "ticker/bookTicker": (2, 4)},
    Market.USDM: {
        "ticker/24hr": (1, 40),
        "ticker/price": (1, 2),
        "ticker/bookTicker": (2, 5),
        "premiumIndex": (1, 10),
    },
}


def weight_of(market: Market, endpoint: str, limit: int | None, has_symbol: bool) -> int:
    """Weight of a request. ``limit`` is what was asked for, if anything."""
    tickers = _TICKERS[market].get(endpoint)
    if tickers:
        return tickers[0] if has_symbol else tickers[1]
    if market is Market.SPOT:
        if endpoint == "depth":
            asked = limit or 100
            return 5 if asked <= 100 else 25 if asked <= 500 else 50 if asked <= 1000 else 250
        return _SPOT.get(endpoint, 1)
    asked = limit or 500
    if endpoint == "depth":
        return 2 if asked <= 50 else 5 if asked <= 100 else 10 if asked <= 500 else 20
    if endpoint == "klines":
        return 1 if asked < 100 else 2 if asked < 500 else 5 if asked <= 1000 else 10
    return _USDM.get(endpoint, 1)


class WeightCounter:
    """Counts weights in clock minutes; one market, all addresses apart."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._minute = -1
        self._used: dict[str, int] = {}

    def use(self, address: str, weight: int, now_s: float) -> int:
        """Count a request and return the weight used in this minute. Raises TooManyRequestsError."""
        minute = int(now_s // 60)
        if minute != self._minute:
            self._minute = minute
            self._used.clear()
        used = self._used.get(address, 0) + weight
        self._used[address] = used
        if used > self.limit:
            raise TooManyRequestsError(self.limit, max(1, int((minute + 1) * 60 - now_s) + 1))
        return used
