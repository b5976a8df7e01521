"""What clients say, understood."""

from __future__ import annotations

import json

import msgspec
import pytest

from tapestream.gateway.core.subscriptions import BadMessageError, Reader

READER = Reader("v", lambda name: name.symbol in {"BTCUSDT", "ETHUSDT", "BRK B"}, lambda: "BTCUSDT, ETHUSDT")


def read(**message: object):
    return READER.read(json.dumps(message))


def test_symbols_alone_mean_their_trades_and_tickers() -> None:
    request = read(action="subscribe", symbols=["btcusdt", "BRK B@v"])

    assert {channel.topic for channel in request.channels} == {
        "trades:BTCUSDT@v", "ticker:BTCUSDT@v", "trades:BRK B@v", "ticker:BRK B@v",
    }  # fmt: skip
    assert not request.faults


def test_channels() -> None:
    request = read(
        action="subscribe",
        channels=[
            "bars:1m:ETHUSDT",
            "quotes:ETHUSDT",
            "signals:BTCUSDT-ETHUSDT",
            "alerts",
            "jobs:5",
            "nonsense",
        ],
    )

    assert [channel.kind for channel in request.channels] == ["bars", "quotes", "signals", "alerts", "jobs"]
    assert [fault.field for fault in request.faults] == ["channels[5]"]


def test_older_names_keep_their_type() -> None:
    request = read(action="subscribe", channels=["market_data", "five_second_bar"], symbols=["BTCUSDT"])

    assert [(c.kind, c.timeframe, c.frame_type) for c in request.channels] == [
        ("trades", "", "market_data"),
        ("bars", "5s", "five_second_bar"),
    ]


def test_msgpack_says_the_same() -> None:
    message = {"action": "subscribe", "symbols": ["BTCUSDT"], "since": {"trades": 5, "ids": {"BTCUSDT": 7}}}

    assert READER.read(msgspec.msgpack.encode(message)) == READER.read(json.dumps(message))
    assert READER.read(json.dumps(message)).since.ids == {"BTCUSDT@v": 7}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"action": 5}, "action"),
        ({}, "action"),
        ({"action": "subscribe", "channels": {}}, "channels"),
        ({"action": "subscribe", "symbols": ["BTCUSDT"], "interval_ms": 5}, "interval_ms"),
        ({"action": "subscribe", "symbols": ["BTCUSDT"], "interval_ms": True}, "interval_ms"),
        ({"action": "subscribe", "symbols": ["BTCUSDT"], "batch": 1}, "batch"),
        ({"action": "subscribe", "symbols": ["BTCUSDT"], "since": -1}, "since"),
        ({"action": "subscribe", "symbols": ["BTCUSDT"], "since": {"bars": "x"}}, "since.bars"),
        ({"action": "subscribe", "symbols": ["BTCUSDT"], "since": {"ids": {"NO": 1}}}, "since.ids"),
    ],
)
def test_what_cannot_be_understood_is_named(message: dict, field: str) -> None:
    with pytest.raises(BadMessageError) as error:
        READER.read(json.dumps(message))
    assert error.value.fault.field == field
    assert error.value.fault.allowed


@pytest.mark.parametrize("raw", ["", "{", "null", "5", '"x"', b"\xc1", b"", "[" * 100_000])
def test_garbage_is_a_bad_message(raw: str | bytes) -> None:
    with pytest.raises(BadMessageError):
        READER.read(raw)
