"""Feeds: what is on offer, and the union of what owners want."""

from __future__ import annotations

from tapestream.common.contracts.feeds import DEFAULT_OWNER, MAJORS, available_symbols, wanted_symbols
from tapestream.common.contracts.messages import FeedWant

VENUE = "binance_usdm"
OFFER = ["BTCUSDT", "ETHUSDT"]


def _want(*symbols: str) -> FeedWant:
    return FeedWant(symbols=list(symbols))


def test_configured_symbols_are_on_offer_where_the_venue_lists_them() -> None:
    assert available_symbols(["A", "B", "C"], ["C", "X", "A"], 1) == ["C", "A"]


def test_a_short_list_is_on_offer_as_a_whole_and_once() -> None:
    assert available_symbols(iter(["B", "A", "B"]), [], 2) == ["B", "A"]
    assert available_symbols([], [], 2) == []


def test_of_a_long_list_the_majors_are_on_offer() -> None:
    listed = ["X", "Y", "Z", MAJORS[1], MAJORS[0]]

    assert available_symbols(listed, [], 4) == [MAJORS[0], MAJORS[1]]


def test_the_default_owner_wants_all_on_offer_until_it_has_spoken() -> None:
    assert wanted_symbols({}, VENUE, OFFER) == (OFFER, set())
    assert wanted_symbols({"desk": _want("ETHUSDT")}, VENUE, OFFER) == (OFFER, set())
    assert wanted_symbols({DEFAULT_OWNER: _want("ETHUSDT")}, VENUE, OFFER) == (["ETHUSDT"], set())
    assert wanted_symbols({DEFAULT_OWNER: _want()}, VENUE, OFFER) == ([], set())


def test_one_owners_stop_takes_nothing_from_another() -> None:
    wants = {DEFAULT_OWNER: _want(), "desk": _want("ETHUSDT"), "lab": _want("ETHUSDT", "BTCUSDT")}

    assert wanted_symbols(wants, VENUE, OFFER).symbols == ["BTCUSDT", "ETHUSDT"]
    assert wanted_symbols({**wants, "lab": _want()}, VENUE, OFFER).symbols == ["ETHUSDT"]


def test_names_carry_a_venue_and_those_of_others_are_left_alone() -> None:
    wants = {DEFAULT_OWNER: _want(f"btcusdt@{VENUE}", "ETHUSDT@elsewhere")}

    assert wanted_symbols(wants, VENUE, OFFER) == (["BTCUSDT"], set())


def test_listed_symbols_can_be_wanted_and_others_are_told() -> None:
    wants = {DEFAULT_OWNER: _want("SOLUSDT", "NOSUCH")}

    assert wanted_symbols(wants, VENUE, OFFER, [*OFFER, "SOLUSDT"]) == (["SOLUSDT"], {"NOSUCH"})
    assert wanted_symbols(wants, VENUE, OFFER) == ([], {"SOLUSDT", "NOSUCH"})


def test_a_name_that_cannot_be_read_is_told_and_stops_nobody() -> None:
    wants = {DEFAULT_OWNER: _want("ETHUSDT"), "desk": _want(f"@{VENUE}", "BTCUSDT")}

    assert wanted_symbols(wants, VENUE, OFFER) == (["BTCUSDT", "ETHUSDT"], {f"@{VENUE}"})
