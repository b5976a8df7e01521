"""Subjects: any symbol fits into one token and comes back."""

from __future__ import annotations

import re

import pytest

from tapestream.common.contracts.subjects import (
    MarketSubject,
    Subjects,
    decode_token,
    encode_token,
    instrument_key,
)

ODD = ["BTCUSDT", "BRK B", "A.B", "ÄÖ", "币安", "a_b-c", "50%", "%20", "*", ">", "EUR/USD", "a+b", "=x"]
PREFIXES = ["", "replay", "t-1_x"]


@pytest.mark.parametrize("symbol", ODD)
def test_a_token_holds_any_symbol(symbol: str) -> None:
    token = encode_token(symbol)

    assert re.fullmatch(r"[A-Za-z0-9_%-]+", token)
    assert decode_token(token) == symbol


def test_tokens_are_percent_encoded() -> None:
    assert encode_token("BRK B") == "BRK%20B"
    assert encode_token("A.B") == "A%2EB"
    assert encode_token("Ä") == "%C3%84"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("symbol", ODD)
def test_market_subjects_come_apart_as_they_were_put_together(symbol: str, prefix: str) -> None:
    subjects = Subjects(prefix)
    for kind in ("trade", "backfill", "quote", "kline", "gap"):
        subject = getattr(subjects, kind)("some venue", symbol)
        assert subjects.parse_market(subject) == MarketSubject(kind, "some venue", symbol)
    bar = subjects.bar("5m", "some venue", symbol)
    assert subjects.parse_market(bar) == MarketSubject("bar", "some venue", symbol, "5m")
    clock = subjects.clock(symbol)
    assert subjects.parse_market(clock) == MarketSubject("clock", symbol, "")


@pytest.mark.parametrize("symbol", ODD)
def test_keys_of_instruments_keep_to_what_a_bucket_allows(symbol: str) -> None:
    assert re.fullmatch(r"[-/_=A-Za-z0-9]+\.[-/_=A-Za-z0-9]+", instrument_key("ibkr", symbol))


def test_keys_of_instruments_differ() -> None:
    assert len({instrument_key("ibkr", symbol) for symbol in ODD}) == len(ODD)


def test_a_prefix_stands_before_everything() -> None:
    live, beside = Subjects(), Subjects("replay")

    assert live.trade("v", "S") == "md.trade.v.S"
    assert beside.trade("v", "S") == "replay.md.trade.v.S"
    assert beside.market("bar") == "replay.md.bar.>"
    assert beside.status("ingest", "a b") == "replay.ops.status.ingest.a%20b"
    assert beside.dead_letter("MARKET", "bars") == "replay.dlq.MARKET.bars"
    assert beside.rpc("ingest", "backfill") == "replay.rpc.ingest.backfill"
    assert (live.stream("MARKET"), beside.stream("MARKET")) == ("MARKET", "REPLAY_MARKET")


@pytest.mark.parametrize("prefix", ["Replay", "a.b", "a b", "ä", "*", ">", "replay\n"])
def test_a_prefix_that_is_no_token_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="subject prefix"):
        Subjects(prefix)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "md",
        "md.trade.v",
        "md.trade.v.A.B",
        "md.bar.v.S",
        "md.other.v.S",
        "ops.status.a.b",
        "replay.md.clock.v",
    ],
)
def test_other_subjects_are_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="not a market data subject"):
        Subjects().parse_market(subject)
