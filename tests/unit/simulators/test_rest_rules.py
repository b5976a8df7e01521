"""Weights, parameters and settings."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tapestream.simulators.binance.control import FaultOrder
from tapestream.simulators.binance.errors import (
    ApiError,
    IllegalParameterError,
    InvalidIntervalError,
    InvalidSymbolError,
    MissingParameterError,
    TooManyRequestsError,
)
from tapestream.simulators.binance.params import Params
from tapestream.simulators.binance.settings import SimulatorSettings
from tapestream.simulators.binance.weights import WeightCounter, weight_of
from tapestream.simulators.market import InstrumentKey, Market, decimal_text

KNOWN = {InstrumentKey(market, "BTCUSDT"): None for market in Market}


def test_weights_add_up_and_start_anew_each_minute() -> None:
    counter = WeightCounter(50)
    assert counter.use("a", 25, 60.0) == 25
    assert counter.use("a", 25, 61.0) == 50
    assert counter.use("b", 25, 61.0) == 25
    with pytest.raises(TooManyRequestsError) as refused:
        counter.use("a", 1, 110.0)
    assert 10 <= refused.value.retry_after_s <= 12
    assert counter.use("a", 1, 120.0) == 1


def test_weights_of_requests() -> None:
    assert weight_of(Market.SPOT, "depth", 5000, True) == 250
    assert weight_of(Market.USDM, "klines", 1500, True) == 10
    assert weight_of(Market.USDM, "historicalTrades", None, True) == 20
    assert weight_of(Market.SPOT, "ticker/24hr", None, False) == 80


@pytest.mark.parametrize(
    ("values", "read", "error"),
    [
        ({}, lambda p: p.symbol(), MissingParameterError),
        ({"symbol": "NOPE"}, lambda p: p.symbol(), InvalidSymbolError),
        ({"symbol": "btcusdt"}, lambda p: p.symbol(), IllegalParameterError),
        ({"limit": "x"}, lambda p: p.limit(5, 10), IllegalParameterError),
        ({"limit": "0"}, lambda p: p.limit(5, 10), IllegalParameterError),
        ({"limit": "11"}, lambda p: p.limit(5, 10), IllegalParameterError),
        ({"startTime": "-5"}, lambda p: p.integer("startTime"), IllegalParameterError),
        ({}, lambda p: p.interval(), MissingParameterError),
        ({"interval": "7m"}, lambda p: p.interval(), InvalidIntervalError),
        ({"interval": "1s"}, lambda p: p.interval(), InvalidIntervalError),
    ],
)
def test_bad_parameters(values: dict[str, str], read: object, error: type[ApiError]) -> None:
    with pytest.raises(error):
        read(Params(Market.USDM, values, KNOWN))  # type: ignore[operator]


def test_spot_cuts_a_limit_that_usdm_refuses() -> None:
    assert Params(Market.SPOT, {"limit": "5000"}, KNOWN).limit(500, 1000) == 1000


def test_decimal_text() -> None:
    assert decimal_text(6_180_030, 2) == "61800.30"
    assert decimal_text(-5, 2) == "-0.05"
    assert decimal_text(7, 0) == "7"


@pytest.mark.parametrize(
    "order",
    [
        {"kind": "explode"},
        {"kind": "mute"},
        {"kind": "skip"},
        {"kind": "skip", "probability": 2},
        {"kind": "duplicate", "n": 0},
        {"kind": "drop", "colour": "red"},
        {"kind": "delay", "seconds": 1},
        {"kind": "drop", "market": "coinm"},
    ],
)
def test_bad_faults_are_refused(order: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultOrder.model_validate(order)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIM_SYMBOLS", "btc usdt"),
        ("SIM_RATE", "0"),
        ("SPEED", "-1"),
        ("SIM_START", "2016-01-01"),
        ("BINANCE_SIM_PORT", "70000"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match=name):
        SimulatorSettings.load()


def test_lists_are_read_from_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM_SYMBOLS", "BTCUSDT, ETHUSDT")
    monkeypatch.setenv("TAPE", "a.gz,b.gz")
    settings = SimulatorSettings.load()
    assert settings.sim_symbols == ["BTCUSDT", "ETHUSDT"]
    assert [path.name for path in settings.tape] == ["a.gz", "b.gz"]
