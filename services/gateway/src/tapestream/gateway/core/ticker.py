"""Figures of the last 24 hours of one symbol, as far back as trades were seen."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_NS = 60_000_000_000
WINDOW_MINUTES = 1440


@dataclass(slots=True)
class _Minute:
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float

    def add(self, price: float, qty: float) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += qty
        self.quote_volume += price * qty

    def extend(self, later: _Minute) -> None:
        self.high = max(self.high, later.high)
        self.low = min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.quote_volume += later.quote_volume


class Ticker:
    """Sums by the minute; only market trades count, as they do in bars."""

    def __init__(self) -> None:
        self._minutes: dict[int, _Minute] = {}
        self._now = -1
        self._closed: _Minute | None = None
        """All minutes but the running one together."""

    def add(self, ts_ns: int, price: float, qty: float) -> None:
        """Take in the next trade. Trades of a minute that is over count in the running one."""
        minute = max(ts_ns // MINUTE_NS, self._now)
        if minute != self._now:
            self._now = minute
            self._turn()
        running = self._minutes.get(minute)
        if running is None:
            self._minutes[minute] = _Minute(price, price, price, price, qty, price * qty)
        else:
            running.add(price, qty)

    def _turn(self) -> None:
        oldest = self._now - WINDOW_MINUTES
        for minute in [m for m in self._minutes if m <= oldest]:
            del self._minutes[minute]
        self._closed = None
        for minute in sorted(self._minutes):
            part = self._minutes[minute]
            if self._closed is None:
                self._closed = _Minute(
                    part.open, part.high, part.low, part.close, part.volume, part.quote_volume
                )
            else:
                self._closed.extend(part)

    def figures(self) -> dict[str, float | int] | None:
        """The fields of a ``ticker`` frame; None before the first trade."""
        running, closed = self._minutes.get(self._now), self._closed
        if running is None:
            return None
        first = closed or running
        low, high = running.low, running.high
        volume, quote_volume = running.volume, running.quote_volume
        if closed is not None:
            low, high = min(low, closed.low), max(high, closed.high)
            volume += closed.volume
            quote_volume += closed.quote_volume
        change = running.close - first.open
        return {
            "priceChange": round(change, 10),
            "priceChangePercent": round(100 * change / first.open, 4) if first.open else 0.0,
            "lastPrice": running.close,
            "openPrice": first.open,
            "highPrice": high,
            "lowPrice": low,
            "volume": round(volume, 10),
            "quoteVolume": round(quote_volume, 8),
            "windowMinutes": self._now - min(self._minutes) + 1,
        }
