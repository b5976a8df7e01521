"""Channels of signals, and how figures of pairs are shown."""

from __future__ import annotations

import json

import pytest

from tapestream.common.contracts.pair_queries import AdfFigures
from tapestream.common.contracts.signals import PairSignal
from tapestream.gateway.core.pair_views import interpretation, signal_payload
from tapestream.gateway.core.subscriptions import PROVISIONAL, SIGNALS_KIND, Channel, Reader, SignalSource

READER = Reader(
    "v", lambda name: name.symbol in ("A", "B", "BRK-B"), lambda: "A, B, BRK-B", ("1m", "5m"), 30, "tls"
)


def channels(text: str, **message: object) -> list[Channel]:
    request = READER.read(json.dumps({"action": "subscribe", "channels": [text], **message}))
    assert not request.faults, request.faults
    return list(request.channels)


def test_a_pair_is_a_series_of_figures() -> None:
    (one,) = channels("signals:a-B")
    assert (one.kind, one.frame_type) == (SIGNALS_KIND, "")
    assert SignalSource.parse(one.symbol) == SignalSource("A@v", "B@v", "1m", 30, "tls")
    (one,) = channels("trading_signals:5m:BRK-B,A@v", window=9, method="OLS")
    assert one.frame_type == "trading_signals"
    assert SignalSource.parse(one.symbol) == SignalSource("BRK-B@v", "A@v", "5m", 9, "ols")
    (one,) = channels("signals:A-B", method="Theil_Sen", window=500)
    assert SignalSource.parse(one.symbol) == SignalSource("A@v", "B@v", "1m", 500, "theil-sen")


def test_provisional_figures_are_asked_for() -> None:
    assert [one.kind for one in channels("signals:A-B", on_tick=True)] == [SIGNALS_KIND, PROVISIONAL]
    assert [one.symbol for one in channels("trading_signals")] == [""]


@pytest.mark.parametrize(
    ("text", "message", "field"),
    [
        ("signals:A-C", {}, "channels[0]"),
        ("signals:A", {}, "channels[0]"),
        ("signals:A-A", {}, "channels[0]"),
        ("signals:3m:A-B", {}, "channels[0]"),
        ("signals:A-B", {"window": 1}, "window"),
        ("signals:A-B", {"window": "x"}, "window"),
        ("signals:A-B", {"window": 501, "method": "theil-sen"}, "window"),
        ("signals:A-B", {"window": 501, "method": "huber"}, "window"),
        ("signals:A-B", {"method": "magic"}, "method"),
        ("signals:A-B", {"on_tick": 1}, "on_tick"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: dict[str, object], field: str) -> None:
    request = READER.read(json.dumps({"action": "subscribe", "channels": [text], **message}))
    assert [fault.field for fault in request.faults] == [field]
    assert request.faults[0].allowed
    assert not request.channels


def test_a_frame_says_null_and_why() -> None:
    signal = PairSignal(
        venue_a="v", symbol_a="A", venue_b="v", symbol_b="B", timeframe="1m", window=30, method="tls",
        ts_ns=60_000_000_000, complete=True, price_a=1.0, price_b=2.0, hedge_ratio=None, intercept=None, spread=None,
        zscore=None, correlation=0.5, reason="constant",
    )  # fmt: skip
    frame = json.loads(signal_payload("signal", "A-B", signal, 7))
    assert (frame["type"], frame["ts"], frame["seq"]) == ("signal", "1970-01-01T00:01:00.000Z", 7)
    assert (frame["zscore"], frame["correlation"], frame["reason"]) == (None, 0.5, "constant")


@pytest.mark.parametrize(("pvalue", "is_stationary"), [(0.01, True), (0.05, False), (None, None)])
def test_a_test_is_put_into_words(pvalue: float | None, is_stationary: bool | None) -> None:
    figures = AdfFigures(
        statistic=-3.0,
        pvalue=pvalue,
        lags=1,
        observations=58,
        critical_values={},
        reason="" if pvalue else "constant",
    )
    found, text = interpretation(figures, "the spread")
    assert found is is_stationary
    assert ("constant" in text) == (pvalue is None)
