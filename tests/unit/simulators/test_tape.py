"""Tapes: both forms, merged by receive time, played up to a position, and played again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapestream.simulators.binance import generate
from tapestream.simulators.binance.loop import shifted
from tapestream.simulators.binance.queries import aggs_from, recent_trades, trades_from
from tapestream.simulators.binance.recording import TapeError
from tapestream.simulators.binance.rows import aggregate
from tapestream.simulators.binance.streams import Kind
from tapestream.simulators.binance.tape import load_tape
from tapestream.simulators.binance.tape_source import TapeSource
from tapestream.simulators.market import InstrumentKey, Market

BTC = InstrumentKey(Market.USDM, "BTCUSDT")
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "a_binance_ws"
BTC_FRAMES = DATA / "usdm_btcusdt_20240808.frames.gz"
PAIR = DATA / "derived_usdm_pair_trades_20240808.jsonl.gz"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="recorded tapes are not beside this checkout")


def trade(
    trade_id: int, ts_ms: int, price: str = "100.10", symbol: str = "BTCUSDT", **more: Any
) -> dict[str, Any]:
    return {
        "e": "trade",
        "E": ts_ms,
        "T": ts_ms,
        "s": symbol,
        "t": trade_id,
        "p": price,
        "q": "0.002",
        "X": "MARKET",
        "m": False,
    } | more


def line(recv_ns: int, data: dict[str, Any], stream: str = "btcusdt@trade") -> str:
    frame = {"stream": stream, "data": data}
    return f"{recv_ns} {json.dumps(frame, separators=(',', ':'))}\n"


def test_both_forms_and_files_merge_by_receive_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one.frames.gz", tmp_path / "other.jsonl"
    with gzip.open(one, "wt") as out:
        out.write(line(1_000_000_000, trade(1, 1000)) + line(3_000_000_000, trade(2, 3000)))
    eth = {"recv_ns": 2_000_000_000, "stream": "ethusdt@trade", "data": trade(9, 2000, symbol="ETHUSDT")}
    other.write_text(json.dumps(eth) + "\n")
    tape = load_tape([one, other])
    assert tape.recv_ns.tolist() == [1_000_000_000, 2_000_000_000, 3_000_000_000]
    assert tape.trade_id.tolist() == [1, 9, 2]
    assert {key.symbol for key in tape.symbols} == {"BTCUSDT", "ETHUSDT"}


def test_payloads_are_kept_byte_for_byte(tmp_path: Path) -> None:
    odd = '{"e":"trade",  "E":1000,"T":1000,"s":"BTCUSDT","t":1,"p":"100.10","q":"0.002","X":"MARKET","m":false}'
    path = tmp_path / "a.txt"
    path.write_text(f'1000000000 {{"stream":"btcusdt@trade","data":{odd}}}\n')
    assert load_tape([path]).payloads[0] == odd.encode()


def test_market_and_steps_come_from_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    spot = {
        "e": "trade",
        "E": 1,
        "s": "ETHUSDT",
        "t": 1,
        "p": "10.50000000",
        "q": "2.50000000",
        "T": 1,
        "m": True,
        "M": True,
    }
    more = spot | {"t": 2, "p": "10.75000000", "q": "1.00000000"}
    path.write_text(
        line(1, trade(1, 1, "61800.30"))
        + line(2, trade(2, 2, "61800.20"))
        + line(3, spot, "ethusdt@trade")
        + line(4, more, "ethusdt@trade")
    )
    symbols = load_tape([path]).symbols
    btc = symbols[BTC].instrument
    assert (btc.price_text(1), btc.qty_text(1), btc.price_decimals) == ("0.10", "0.002", 2)
    eth = symbols[InstrumentKey(Market.SPOT, "ETHUSDT")].instrument
    assert (eth.price_text(1), eth.qty_text(1)) == ("0.25000000", "0.50000000")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "123 nonsense\n",
        "heading only\n",
        '{"recv_ns": 1, "stream": 5}\n',
        '{"source": "x", "frame": {}}\n',
    ],
)
def test_what_is_no_tape_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(TapeError, match=r"bad\.jsonl"):
        load_tape([path])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"none\.gz"):
        load_tape([tmp_path / "none.gz"])


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> TapeSource:
    path = tmp_path / "small.jsonl"
    path.write_text(
        "".join(
            [
                line(1_000_000_000, trade(10, 1000)),
                line(1_000_100_000, trade(11, 1000)),
                line(2_000_000_000, trade(12, 2000, X="INSURANCE_FUND", p="90.00")),
                line(2_000_200_000, trade(13, 2000, "100.20")),
                line(3_000_000_000, trade(14, 3000, "100.20", m=True)),
            ]
        )
    )
    return TapeSource(load_tape([path]))


def test_rest_sees_what_was_played_and_leaves_out_the_unpublished(small: TapeSource) -> None:
    log = small.logs[BTC]
    assert log.last_id() == -1
    assert len(recent_trades(log, 10)) == 0
    small.position.frames = 4
    assert recent_trades(log, 10).ids.tolist() == [10, 11, 13]
    assert recent_trades(log, 2).ids.tolist() == [11, 13]
    assert trades_from(log, 0, 10).ids.tolist() == [10, 11, 13]
    assert trades_from(log, 12, 1).ids.tolist() == [13]
    small.position.frames = 5
    assert log.last_id() == 14


def test_aggregates_join_fills_and_leave_out_the_unpublished(small: TapeSource) -> None:
    small.position.frames = 5
    aggs = aggs_from(small.logs[BTC], 0, 10)
    assert aggs.agg.tolist() == [1, 2, 3]
    assert list(zip(aggs.first_id.tolist(), aggs.last_id.tolist(), strict=True)) == [
        (10, 11),
        (13, 13),
        (14, 14),
    ]


def test_candles_of_a_tape_leave_out_the_unpublished(small: TapeSource) -> None:
    small.position.frames = 5
    found = small.candles(BTC, "1s", 0, 10_000)
    assert found.count.tolist() == [2, 1, 1]
    assert found.low.min() == found.open.min()


def test_the_next_round_goes_on_where_the_last_one_ended(small: TapeSource) -> None:
    small.position.rounds, small.position.frames = 2, 3
    log = small.logs[BTC]
    everything = log.ids(0, 10**9)
    assert everything.ids.tolist() == list(range(10, 23))
    assert (np.diff(everything.ts_ns) >= 0).all()
    assert set(np.diff(aggregate(everything).agg).tolist()) == {1}
    payload = json.loads(small.payload(0, Kind.TRADE, BTC))
    assert payload["t"] == 20
    assert payload["T"] * 1_000_000 == int(log.ids(20, 20).ts_ns[0])
    assert payload["p"] == "100.10"


def test_a_shifted_frame_changes_in_ids_and_times_only() -> None:
    span = {Kind.TRADE: 5, Kind.AGG_TRADE: 3, Kind.DEPTH: 100}
    depth = (
        b'{"e":"depthUpdate","E":10,"T":9,"s":"X","U":1,"u":2,"pu":0,"b":[["1.0","2"]],"a":[["3.0","10"]]}'
    )
    moved = shifted(depth, Kind.DEPTH, 2, 1_000_000_000, span)
    expected = json.loads(depth) | {"E": 2010, "T": 2009, "U": 201, "u": 202, "pu": 200}
    assert json.loads(moved) == expected
    agg = b'{"e":"aggTrade","E":10,"a":7,"s":"X","p":"1","q":"2","f":20,"l":21,"T":9,"m":true}'
    assert json.loads(shifted(agg, Kind.AGG_TRADE, 1, 1_000_000_000, span)) == json.loads(agg) | {
        "E": 1010,
        "T": 1009,
        "a": 10,
        "f": 25,
        "l": 26,
    }
    kline = b'{"e":"kline","E":10,"s":"X","k":{"t":0,"T":59999,"s":"X","i":"1m","f":20,"L":21,"o":"1"}}'
    k = json.loads(shifted(kline, Kind.KLINE, 1, 60_000_000_000, span))["k"]
    assert (k["t"], k["T"], k["f"], k["L"], k["o"]) == (60_000, 119_999, 25, 26, "1")
    assert shifted(depth, Kind.DEPTH, 0, 1, span) is depth


def test_a_generated_tape_is_the_same_for_the_same_seed_and_loads(tmp_path: Path) -> None:
    arguments = ["--symbols", "BTCUSDT,XRPUSDT", "--minutes", "2", "--start", "2026-01-05T00:00:00Z", "--out"]
    one, other, third = (tmp_path / name for name in ("a.jsonl.gz", "b.jsonl.gz", "c.jsonl"))
    for path in (one, other):
        assert generate.main([*arguments, str(path)]) == 0
    assert generate.main([*arguments, str(third), "--seed", "8", "--no-quotes"]) == 0
    assert one.read_bytes() == other.read_bytes()
    tape = load_tape([one])
    assert (np.diff(tape.recv_ns) >= 0).all()
    source = TapeSource(tape)
    source.position.frames = len(tape)
    trades = source.logs[BTC].ids(0, 10**12)
    assert (np.diff(trades.ids) == 1).all()
    assert len(trades) == 2 * 720
    assert not any(stream.kind is Kind.BOOK_TICKER for stream in load_tape([third]).streams)


@needs_data
def test_the_recorded_usdm_tape() -> None:
    tape = load_tape([BTC_FRAMES])
    symbol = tape.symbols[BTC]
    assert len(tape) == 93_954
    assert len(symbol.trades) == 21_313
    assert symbol.instrument.price_text(1) == "0.10"
    assert symbol.instrument.qty_text(1) == "0.001"
    source = TapeSource(tape)
    source.position.frames = len(tape)
    book = source.book(BTC, 50)
    bids, asks = [float(price) for price, _ in book.bids], [float(price) for price, _ in book.asks]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    quote = source.quote(BTC)
    assert quote is not None
    assert abs(bids[0] - float(quote.bid)) < 20


@needs_data
def test_the_recorded_pair_tape_has_no_holes() -> None:
    tape = load_tape([PAIR])
    assert len(tape) == 35_389
    for symbol in tape.symbols.values():
        assert (np.diff(symbol.trades.ids) == 1).all()


@needs_data
def test_other_recordings_are_read_too() -> None:
    spot = load_tape([DATA / "cryptofeed_BINANCE_spot.ws.txt.gz"])
    assert {key.market for key in spot.symbols} == {Market.SPOT}
    futures = load_tape([DATA / "cryptofeed_BINANCE_FUTURES.ws.txt.gz"])
    assert {key.market for key in futures.symbols} == {Market.USDM}
    assert len(spot) == 265
