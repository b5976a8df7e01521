"""Stream names and what clients say on their sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapestream.simulators.binance.streams import Kind, Route, allowed_on, parse_stream
from tapestream.simulators.binance.subscription import Refusal, Request, parse_request
from tapestream.simulators.market import Market


@pytest.mark.parametrize(
    ("name", "kind", "symbol", "argument"),
    [
        ("btcusdt@trade", Kind.TRADE, "BTCUSDT", ""),
        ("btcusdt@aggTrade", Kind.AGG_TRADE, "BTCUSDT", ""),
        ("btcusd_perp@bookTicker", Kind.BOOK_TICKER, "BTCUSD_PERP", ""),
        ("btcusdt@kline_1m", Kind.KLINE, "BTCUSDT", "1m"),
        ("btcusdt@kline_1M", Kind.KLINE, "BTCUSDT", "1M"),
        ("btcusdt@kline_1s", Kind.UNKNOWN, "BTCUSDT", ""),
        ("btcusdt@depth", Kind.DEPTH, "BTCUSDT", ""),
        ("btcusdt@depth@100ms", Kind.DEPTH, "BTCUSDT", ""),
        ("btcusdt@depth20@100ms", Kind.PARTIAL_DEPTH, "BTCUSDT", "20"),
        ("btcusdt@markPrice@1s", Kind.MARK_PRICE, "BTCUSDT", "1s"),
        ("!ticker@arr", Kind.TICKER, "", ""),
        ("0", Kind.UNKNOWN, "0", ""),
        ("BTCUSDT@trade", Kind.UNKNOWN, "BTCUSDT", ""),
    ],
)
def test_names(name: str, kind: Kind, symbol: str, argument: str) -> None:
    stream = parse_stream(Market.USDM, name)
    assert stream is not None
    assert (stream.kind, stream.symbol, stream.argument) == (kind, symbol, argument)


def test_what_is_no_name_at_all() -> None:
    assert parse_stream(Market.SPOT, "not a stream") is None
    assert parse_stream(Market.SPOT, "") is None


def test_spot_has_second_candles() -> None:
    stream = parse_stream(Market.SPOT, "btcusdt@kline_1s")
    assert stream is not None
    assert stream.kind is Kind.KLINE


@pytest.mark.parametrize(
    ("name", "market", "public"),
    [
        ("btcusdt@trade", True, True),
        ("btcusdt@aggTrade", True, False),
        ("btcusdt@kline_1m", True, False),
        ("btcusdt@markPrice", True, False),
        ("btcusdt@bookTicker", False, True),
        ("btcusdt@depth@100ms", False, True),
        ("btcusdt@depth5", False, True),
    ],
)
def test_usdm_routes_do_not_mix(name: str, market: bool, public: bool) -> None:
    stream = parse_stream(Market.USDM, name)
    assert stream is not None
    assert allowed_on(Route.USDM_MARKET, stream) is market
    assert allowed_on(Route.USDM_PUBLIC, stream) is public
    assert allowed_on(Route.SPOT, stream)


def ask(route: Route, message: Any) -> Request | Refusal:
    return parse_request(route, message if isinstance(message, str) else json.dumps(message), 4)


def test_a_subscription() -> None:
    request = ask(Route.SPOT, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1})
    assert isinstance(request, Request)
    assert [stream.name for stream in request.streams] == ["btcusdt@trade"]


@pytest.mark.parametrize(
    ("route", "message", "code", "words"),
    [
        (Route.SPOT, "{nonsense", 3, "Invalid JSON"),
        (Route.SPOT, "[1]", 2, "invalid type"),
        (Route.SPOT, {"id": 1, "params": []}, 2, "missing field `method`"),
        (Route.SPOT, {"id": 1, "method": "SUBSCRIB", "params": []}, 2, "unknown variant"),
        (Route.SPOT, {"id": 1, "method": "SUBSCRIBE"}, 2, "missing field `params`"),
        (Route.SPOT, {"id": -1, "method": "SUBSCRIBE", "params": []}, 2, "request ID"),
        (Route.SPOT, {"id": 1.5, "method": "SUBSCRIBE", "params": []}, 2, "request ID"),
        (Route.USDM_MARKET, {"id": "a", "method": "SUBSCRIBE", "params": []}, 2, "unsigned integer"),
        (Route.SPOT, {"id": 1, "method": "SUBSCRIBE", "params": ["a b"]}, 2, "invalid stream"),
        (Route.SPOT, {"id": 1, "method": "SUBSCRIBE", "params": [7]}, 2, "invalid stream"),
        (Route.SPOT, {"id": 1, "method": "SUBSCRIBE", "params": ["a@trade"] * 5}, 2, "too many"),
        (
            Route.USDM_MARKET,
            {"id": 1, "method": "SUBSCRIBE", "params": ["a@bookTicker"]},
            2,
            "invalid stream",
        ),
        (Route.SPOT, {"id": 1, "method": "SET_PROPERTY", "params": ["color", True]}, 0, "Unknown property"),
        (Route.SPOT, {"id": 1, "method": "SET_PROPERTY", "params": ["combined", 1]}, 1, "expected Boolean"),
        (Route.SPOT, {"id": 1, "method": "SET_PROPERTY", "params": [5]}, 2, "must be a string"),
        (Route.SPOT, {"id": 1, "method": "GET_PROPERTY", "params": ["combined", 1]}, 2, "too many"),
    ],
)
def test_refusals_in_binances_form(route: Route, message: Any, code: int, words: str) -> None:
    refusal = ask(route, message)
    assert isinstance(refusal, Refusal)
    reply = json.loads(refusal.reply())
    assert reply["error"]["code"] == code
    assert words in reply["error"]["msg"]
