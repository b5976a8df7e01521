"""What every venue must do with frames. A new one needs a file of its own frames beside this test."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from tapestream.common.plugins import load_plugin, plugin_names
from tapestream.ingest import venues
from tapestream.ingest.venue import FrameError, Route, Venue

FRAMES = Path(__file__).parent / "frames"
NAMES = plugin_names(venues)
GARBAGE = (b"", b"this is no JSON", b"[]", b'"trade"', b"{}", b'{"stream":"x","data":{', bytes(range(256)))


class Heard:
    """A sink that notes what it is told."""

    def __init__(self) -> None:
        self.trades: list[tuple[Any, ...]] = []
        self.quotes: list[tuple[Any, ...]] = []
        self.replies: list[tuple[int, str]] = []

    def trade(self, *row: Any) -> None:
        self.trades.append(row)

    def quote(self, *row: Any) -> None:
        self.quotes.append(row)

    def reply(self, request_id: int, error: str) -> None:
        self.replies.append((request_id, error))


@pytest.fixture(params=NAMES)
def venue(request: pytest.FixtureRequest) -> Venue:
    return load_plugin(venues, request.param).VENUE


@pytest.fixture
def frames(venue: Venue) -> dict[str, Any]:
    return msgspec.json.decode((FRAMES / f"{venue.name}.json").read_bytes())


def routes(venue: Venue, *, trades: bool) -> list[Route]:
    return [route for route in venue.routes if route.carries_trades is trades]


def hear(route: Route, frame: object, *, view: bool = False) -> Heard:
    heard = Heard()
    payload = msgspec.json.encode(frame)
    route.parse(memoryview(payload) if view else payload, cast("Any", heard))
    return heard


@pytest.mark.parametrize("view", [False, True])
def test_a_trade_says_each_field_once(venue: Venue, frames: dict[str, Any], view: bool) -> None:
    assert routes(venue, trades=True)
    for route in routes(venue, trades=True):
        for frame in (frames["trade"], frames["trade"]["data"]):
            heard = hear(route, frame, view=view)
            assert heard.trades == [tuple(frames["trade_says"])]
            assert not heard.quotes
            assert not heard.replies


def test_a_quote_says_each_field_once(venue: Venue, frames: dict[str, Any]) -> None:
    for route in routes(venue, trades=False):
        for frame in (frames["quote"], frames["quote"]["data"]):
            heard = hear(route, frame)
            assert heard.quotes == [tuple(frames["quote_says"])]
            assert not heard.trades


def test_an_answer_reaches_the_one_who_asked(venue: Venue, frames: dict[str, Any]) -> None:
    for route in venue.routes:
        assert hear(route, frames["agreed"]).replies == [(7, "")]
        [(request_id, error)] = hear(route, frames["refused"]).replies
        assert request_id == 8
        assert "Invalid request" in error


def test_rubbish_is_refused_and_tells_nothing(venue: Venue, frames: dict[str, Any]) -> None:
    for route in venue.routes:
        rubbish = [*GARBAGE, msgspec.json.encode(frames["quote" if route.carries_trades else "trade"])]
        if route.carries_trades:
            rubbish.append(msgspec.json.encode(frames["number_broken"]))
        for payload in rubbish:
            heard = Heard()
            with pytest.raises(FrameError):
                route.parse(payload, cast("Any", heard))
            assert heard.trades == heard.quotes == heard.replies == []


def test_requests_name_their_streams_and_their_number(venue: Venue) -> None:
    for route in venue.routes:
        streams = [route.stream_of("BTCUSDT"), route.stream_of("ETHUSDT")]
        assert len(set(streams)) == 2
        asked = {kind(streams, 42) for kind in (venue.subscribe, venue.unsubscribe)}
        assert len(asked) == 2
        for payload in asked:
            assert b"42" in payload
            assert all(stream.encode() in payload for stream in streams)


def test_it_goes_by_the_name_of_its_file(venue: Venue) -> None:
    assert venue.name in NAMES
    assert venue.weight_per_minute > 0
