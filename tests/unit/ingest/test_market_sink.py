"""What the sink believes of a venue's frames."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from tapestream.common.contracts.messages import TradeBatch, decoder
from tapestream.common.contracts.subjects import Subjects
from tapestream.ingest.core.trades import MARKET
from tapestream.ingest.core.watermark import Watermark
from tapestream.ingest.market_publisher import MarketPublisher
from tapestream.ingest.market_sink import LEAP_IDS, LEAP_IDS_PER_S, MarketSink

S_NS = 1_000_000_000
START_NS = 1_700_000_000 * S_NS


class Bus:
    """Keeps what is put on it."""

    backlog_bytes = 0

    def __init__(self) -> None:
        self.put_ids: list[int] = []

    def put(self, subject: str, _ordinal: int, payload: bytes) -> None:
        if ".trade." in subject:
            self.put_ids += decoder(TradeBatch).decode(payload).id

    def stored_ordinal(self, _subject: str) -> int | None:
        return None


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def sink(bus: Bus) -> MarketSink:
    publisher = MarketPublisher("somewhere", Subjects(), cast("Any", bus), cast("Any", bus))
    sink = MarketSink("somewhere", publisher, Watermark(0, S_NS))
    sink.add_symbol("BTCUSDT")
    return sink


def offer(sink: MarketSink, trade_id: int, at_s: float = 0.0, price: float = 100.0) -> None:
    ts_ns = START_NS + int(at_s * S_NS)
    sink.trade("BTCUSDT", trade_id, ts_ns, price, 1.0, False, MARKET, ts_ns)
    sink.flush()


def test_one_id_from_far_ahead_holds_up_nobody(sink: MarketSink, bus: Bus) -> None:
    offer(sink, 100)
    offer(sink, 101 + 2 * LEAP_IDS)
    offer(sink, 101)
    offer(sink, 90_000_000)
    offer(sink, 102)
    assert bus.put_ids == [100, 101, 102]
    assert sink.feeds["BTCUSDT"].sequencer.hole is None


def test_a_copy_of_a_wrong_id_confirms_nothing(sink: MarketSink, bus: Bus) -> None:
    offer(sink, 100)
    for _ in range(3):
        offer(sink, 5_000_000)
    offer(sink, 101)
    assert bus.put_ids == [100, 101]


def test_a_leap_that_goes_on_is_a_hole(sink: MarketSink) -> None:
    offer(sink, 100)
    offer(sink, 5_000_000)
    offer(sink, 5_000_001)
    hole = sink.feeds["BTCUSDT"].sequencer.hole
    assert hole is not None
    assert (hole.from_id, hole.to_id) == (101, 5_000_000)


def test_a_long_silence_makes_a_large_step_plausible(sink: MarketSink) -> None:
    offer(sink, 100)
    offer(sink, 100 + 60 * LEAP_IDS_PER_S, at_s=60)
    hole = sink.feeds["BTCUSDT"].sequencer.hole
    assert hole is not None
    assert hole.from_id == 101


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_market_trade_has_a_price(sink: MarketSink, bus: Bus, price: float) -> None:
    offer(sink, 100, price=price)
    assert bus.put_ids == []
