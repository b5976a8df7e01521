"""Rows of REST answers, field by field as each market sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tapestream.simulators.candles import Candles, next_open
from tapestream.simulators.market import MS_NS, Instrument, Ints, Market, Trades


def trade_rows(instrument: Instrument, trades: Trades) -> list[dict[str, Any]]:
    spot = instrument.market is Market.SPOT
    rows: list[dict[str, Any]] = []
    for trade_id, ts_ns, ticks, lots, maker in zip(
        trades.ids.tolist(),
        trades.ts_ns.tolist(),
        trades.ticks.tolist(),
        trades.lots.tolist(),
        trades.buyer_maker.tolist(),
        strict=True,
    ):
        row: dict[str, Any] = {
            "id": trade_id,
            "price": instrument.price_text(ticks),
            "qty": instrument.qty_text(lots),
            "quoteQty": instrument.notional_text(ticks * lots),
            "time": ts_ns // MS_NS,
            "isBuyerMaker": maker,
        }
        if spot:
            row["isBestMatch"] = True
        rows.append(row)
    return rows


@dataclass(frozen=True, slots=True)
class AggTrades:
    """Aggregate trades by column."""

    agg: Ints
    ts_ns: Ints
    ticks: Ints
    lots: Ints
    first_id: Ints
    last_id: Ints
    buyer_maker: list[bool]

    def __len__(self) -> int:
        return len(self.agg)


def aggregate(trades: Trades) -> AggTrades:
    """One row per aggregate trade; insurance-fund and ADL fills stay out."""
    trades = trades.ordinary()
    if not len(trades):
        none = trades.ids
        return AggTrades(none, none, none, none, none, none, [])
    first = np.flatnonzero(np.diff(trades.agg, prepend=trades.agg[0] - 1))
    last = np.append(first[1:], len(trades)) - 1
    return AggTrades(
        trades.agg[first],
        trades.ts_ns[first],
        trades.ticks[first],
        np.add.reduceat(trades.lots, first),
        trades.ids[first],
        trades.ids[last],
        trades.buyer_maker[first].tolist(),
    )


def agg_rows(instrument: Instrument, aggs: AggTrades) -> list[dict[str, Any]]:
    spot = instrument.market is Market.SPOT
    rows: list[dict[str, Any]] = []
    for row, agg in enumerate(aggs.agg.tolist()):
        made: dict[str, Any] = {
            "a": agg,
            "p": instrument.price_text(int(aggs.ticks[row])),
            "q": instrument.qty_text(int(aggs.lots[row])),
            "f": int(aggs.first_id[row]),
            "l": int(aggs.last_id[row]),
            "T": int(aggs.ts_ns[row]) // MS_NS,
            "m": aggs.buyer_maker[row],
        }
        if spot:
            made["M"] = True
        rows.append(made)
    return rows


def kline_rows(instrument: Instrument, interval: str, candles: Candles) -> list[list[Any]]:
    """Candles as Binance lists them. An interval without trades is drawn flat, as there."""
    rows: list[list[Any]] = []
    expected = -1
    for row, start in enumerate(candles.open_ms.tolist()):
        while 0 <= expected < start:
            end = next_open(expected, interval)
            price, zero, nothing = rows[-1][4], instrument.qty_text(0), instrument.notional_text(0)
            rows.append([expected, price, price, price, price, zero, end - 1, nothing, 0, zero, nothing, "0"])
            expected = end
        expected = next_open(start, interval)
        rows.append(
            [
                start,
                instrument.price_text(int(candles.open[row])),
                instrument.price_text(int(candles.high[row])),
                instrument.price_text(int(candles.low[row])),
                instrument.price_text(int(candles.close[row])),
                instrument.qty_text(int(candles.lots[row])),
                expected - 1,
                instrument.notional_text(int(candles.notional[row])),
                int(candles.count[row]),
                instrument.qty_text(int(candles.taker_lots[row])),
                instrument.notional_text(int(candles.taker_notional[row])),
                "0",
            ]
        )
    return rows


def exchange_info(market: Market, instruments: list[Instrument], now_ms: int, limit: int) -> dict[str, Any]:
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit}
    info: dict[str, Any] = {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [weight],
        "exchangeFilters": [],
    }
    if market is Market.USDM:
        assets = sorted({instrument.quote for instrument in instruments})
        info["futuresType"] = "U_MARGINED"
        info["assets"] = [
            {"asset": asset, "marginAvailable": True, "autoAssetExchange": "-10000"} for asset in assets
        ]
    one = _spot_symbol if market is Market.SPOT else _usdm_symbol
    info["symbols"] = [one(instrument) for instrument in instruments]
    return info


def _spot_symbol(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(instrument, "NOTIONAL"),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _usdm_symbol(instrument: Instrument) -> dict[str, Any]:
    # A coin-margined contract on a tape is margined in its base; all else in its quote.
    margin = instrument.base if instrument.symbol.endswith("_PERP") else instrument.quote
    return {
        "symbol": instrument.symbol,
        "pair": instrument.base + instrument.quote,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": margin,
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.qty_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.015000",
        "marketTakeBound": "0.05",
        "filters": _filters(instrument, "MIN_NOTIONAL"),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _filters(instrument: Instrument, notional: str) -> list[dict[str, Any]]:
    tick, lot = instrument.price_text(1), instrument.qty_text(1)
    most = instrument.qty_text(max(1, 10 ** (4 + instrument.qty_decimals) // instrument.lot))
    spot = instrument.market is Market.SPOT
    filters: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": instrument.price_text(10 ** (6 + instrument.price_decimals) // instrument.tick),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": most, "stepSize": lot},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": instrument.qty_text(0) if spot else lot,
            "maxQty": most,
            "stepSize": instrument.qty_text(0) if spot else lot,
        },
    ]
    if spot:
        filters.append({"filterType": notional, "minNotional": "5.00000000", "applyMinToMarket": True})
    else:
        filters.append({"filterType": notional, "notional": "5"})
        filters.append({"filterType": "MAX_NUM_ORDERS", "limit": 200})
    return filters
