"""What is traded on the seeded market, with Binance's real steps for the majors."""

from __future__ import annotations

from tapestream.simulators.market import Instrument, InstrumentKey, Market
from tapestream.simulators.noise import make_key
from tapestream.simulators.seeded import Character, SeededInstrument

MAJORS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT")
_QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY")

# Price around which the path wanders, trades a second, beta; then decimals and step of price and of
# quantity, on USD-M and on spot (there with eight decimals always).
_KNOWN = {
    "BTCUSDT": (64_000.0, 12, 1.0, (2, 10, 3, 1), (1_000_000, 1_000)),
    "ETHUSDT": (3_100.0, 9, 1.15, (2, 1, 3, 1), (1_000_000, 10_000)),
    "BNBUSDT": (580.0, 5, 0.9, (2, 1, 2, 1), (1_000_000, 100_000)),
    "SOLUSDT": (150.0, 8, 1.4, (2, 1, 0, 1), (1_000_000, 100_000)),
    "ADAUSDT": (0.45, 4, 1.25, (4, 1, 0, 1), (10_000, 10_000_000)),
    "XRPUSDT": (0.6, 6, 1.1, (4, 1, 1, 1), (10_000, 10_000_000)),
    "DOGEUSDT": (0.14, 5, 1.5, (5, 1, 0, 1), (1_000, 100_000_000)),
    "LTCUSDT": (80.0, 3, 1.0, (2, 1, 3, 1), (1_000_000, 100_000)),
    "LINKUSDT": (15.0, 3, 1.3, (3, 1, 2, 1), (1_000_000, 1_000_000)),
    "AVAXUSDT": (30.0, 3, 1.4, (3, 1, 0, 1), (1_000_000, 1_000_000)),
}
_MEAN_NOTIONAL = 3_000.0
"""Average size of a trade in the quote currency."""


def split_symbol(symbol: str) -> tuple[str, str]:
    """Base and quote: ``BTCUSDT`` -> ``BTC``, ``USDT``; ``BTCUSD_PERP`` -> ``BTC``, ``USD``."""
    name = symbol.partition("_")[0]
    for quote in _QUOTES:
        if name.endswith(quote) and len(name) > len(quote):
            return name[: -len(quote)], quote
    return name[:-3] or name, name[-3:]


def seeded_instruments(seed: int, symbols: list[str], rate: float) -> list[SeededInstrument]:
    """Every symbol on both markets. ``rate`` multiplies the trades per second."""
    return [seeded_instrument(seed, market, symbol, rate) for market in Market for symbol in symbols]


def seeded_instrument(seed: int, market: Market, symbol: str, rate: float) -> SeededInstrument:
    base, quote = split_symbol(symbol)
    price, per_second, beta, usdm, spot = _KNOWN.get(symbol) or _generic(seed, symbol)
    if market is Market.USDM:
        price_decimals, tick, qty_decimals, lot = usdm
    else:
        price_decimals, tick, qty_decimals, lot = 8, spot[0], 8, spot[1]
    instrument = Instrument(
        InstrumentKey(market, symbol), base, quote, price_decimals, tick, qty_decimals, lot
    )
    lot_value = price * lot / 10**qty_decimals
    return SeededInstrument(
        seed,
        instrument,
        Character(
            price,
            trades_per_minute=max(6, round(per_second * 60 * rate)),
            beta=beta,
            mean_lots=max(2.0, _MEAN_NOTIONAL / lot_value),
        ),
    )


def _generic(
    seed: int, symbol: str
) -> tuple[float, float, float, tuple[int, int, int, int], tuple[int, int]]:
    """Any other symbol: a price between 0.2 and 400, a tick near 1/10,000 of it."""
    draw = make_key(seed, "generic", symbol)
    price = 0.2 * 2000.0 ** ((draw & 0xFFFF) / 65_536)
    decimals = 2 if price >= 50 else 3 if price >= 5 else 4 if price >= 0.5 else 5
    return (
        price,
        1.0 + (draw >> 16) % 6,
        0.8 + ((draw >> 24) & 0xFF) / 320,
        (decimals, 1, 0 if price < 20 else 2, 1),
        (10 ** (8 - decimals), 10_000_000 if price < 20 else 1_000_000),
    )
