"""The seeded market: same seed, same tape; contiguous ids; trades that fit their outline and their book."""

from __future__ import annotations

import numpy as np
import pytest

from tapestream.simulators.binance.symbols import MAJORS, seeded_instrument, seeded_instruments
from tapestream.simulators.market import MINUTE_NS, ORDINARY, InstrumentKey, Market, Trades, join_trades
from tapestream.simulators.seeded import SeededInstrument
from tapestream.simulators.seeded_source import SeededLog, SeededSource

MINUTE = 29_376_000
BTC = InstrumentKey(Market.USDM, "BTCUSDT")


def btc(seed: int = 7, market: Market = Market.USDM, symbol: str = "BTCUSDT") -> SeededInstrument:
    return seeded_instrument(seed, market, symbol, 1.0)


def assert_same(left: Trades, right: Trades) -> None:
    for name in Trades.__slots__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def test_the_same_seed_gives_the_same_tape_whatever_was_asked_before() -> None:
    one, other = btc(), btc()
    other.block(MINUTE + 3)
    for minute in range(MINUTE, MINUTE + 5):
        assert_same(one.block(minute).trades, other.block(minute).trades)
        np.testing.assert_array_equal(one.book_updates(minute).bid_lots, other.book_updates(minute).bid_lots)


def test_another_seed_another_symbol_and_the_other_market_give_another_tape() -> None:
    ticks = btc().block(MINUTE).trades.ticks
    for other in (btc(8), btc(symbol="DOTUSDT"), btc(market=Market.SPOT)):
        assert not np.array_equal(ticks, other.block(MINUTE).trades.ticks)


@pytest.mark.parametrize("market", list(Market))
@pytest.mark.parametrize("symbol", [*MAJORS, "DOTUSDT"])
def test_ids_and_times_go_on_over_minutes_and_chunks(market: Market, symbol: str) -> None:
    instrument = btc(market=market, symbol=symbol)
    trades = join_trades(instrument.block(minute).trades for minute in range(MINUTE - 3, MINUTE + 3))
    assert (np.diff(trades.ids) == 1).all()
    assert (np.diff(trades.ts_ns) >= 0).all()
    assert set(np.diff(trades.ordinary().agg).tolist()) <= {0, 1}
    assert (trades.lots > 0).all()
    assert instrument.minute_of_id(int(trades.ids[0])) == MINUTE - 3
    assert instrument.minute_of_id(int(trades.ids[-1])) == MINUTE + 2
    assert instrument.minute_of_agg(int(trades.agg[-1])) == MINUTE + 2


@pytest.mark.parametrize("symbol", MAJORS)
def test_trades_have_the_outline_that_was_drawn_for_their_minute(symbol: str) -> None:
    instrument = btc(symbol=symbol)
    shapes = instrument.shapes(MINUTE, 60)
    for row in range(60):
        trades = instrument.block(MINUTE + row).trades.ordinary()
        assert trades.ticks[0] == shapes.open_bid[row] + shapes.first_side[row]
        assert trades.ticks[-1] == shapes.close_bid[row] + shapes.last_side[row]
        assert trades.ticks.max() == shapes.high_bid[row] + 1
        assert trades.ticks.min() == shapes.low_bid[row]
        assert trades.lots.sum() == shapes.lots[row]


def test_every_trade_is_at_the_best_quote_before_it() -> None:
    instrument = btc()
    trades, updates = instrument.block(MINUTE).trades, instrument.book_updates(MINUTE)
    assert (np.diff(updates.ts_ns) >= 0).all()
    assert len(updates.bid) == 3 * len(trades)
    before = np.searchsorted(updates.ts_ns, trades.ts_ns, side="right") - 1
    side = np.where(trades.buyer_maker, 0, 1)
    at_quote = trades.ticks == updates.bid[before] + side
    assert at_quote[trades.kind == ORDINARY].all()


def test_book_update_ids_go_on_over_minutes() -> None:
    instrument = btc()
    first, second = instrument.book_updates(MINUTE), instrument.book_updates(MINUTE + 1)
    assert second.update_id[0] == first.update_id[-1] + 1
    assert first.ts_ns[-1] <= second.ts_ns[0]


def test_unpublished_trades_are_rare_off_the_price_and_on_usdm_only() -> None:
    minutes = range(MINUTE, MINUTE + 200)
    usdm, spot = btc(), btc(market=Market.SPOT)
    trades = join_trades(usdm.block(minute).trades for minute in minutes)
    odd = int(np.count_nonzero(trades.kind))
    assert 1 / 4000 < odd / len(trades) < 1 / 700
    assert not any(spot.block(minute).trades.kind.any() for minute in minutes)
    aggs = trades.agg[trades.kind == ORDINARY]
    assert set(np.diff(aggs).tolist()) <= {0, 1}


def test_prices_look_like_random_walks_and_pairs_hang_together() -> None:
    bids = {symbol: btc(symbol=symbol).bid_ticks(np.arange(MINUTE, MINUTE + 20_000)) for symbol in MAJORS[:2]}
    log_btc, log_eth = (np.log(bids[symbol].astype(float)) for symbol in MAJORS[:2])
    moves = np.diff(log_btc)
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.05
    assert 3e-4 < moves.std() < 9e-4
    assert np.corrcoef(moves, np.diff(log_eth))[0, 1] > 0.4
    slope, intercept = np.polyfit(log_btc, log_eth, 1)
    spread = log_eth - slope * log_btc - intercept
    assert spread.std() < 0.3 * log_eth.std()


def test_rate_multiplies_trades() -> None:
    assert seeded_instrument(7, Market.USDM, "BTCUSDT", 3.0).trades_per_minute == 3 * btc().trades_per_minute


class Clock:
    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_history_ends_at_the_clock_and_goes_on_in_another_process() -> None:
    clock = Clock(MINUTE * MINUTE_NS + 59_900_000_000)
    before = SeededLog(btc(), clock)
    last = before.last_id()
    assert len(before.ids(last + 1, last + 100)) == 0
    seen = before.ids(last - 50, last)
    assert int(seen.ts_ns[-1]) <= clock.now_ns
    later = Clock(clock.now_ns + 5_000_000_000)  # over the border of the minute
    after = SeededLog(btc(), later)
    assert after.last_id() > last
    missed = after.between(clock.now_ns + 1, later.now_ns + 1)
    assert missed.ids.tolist() == list(range(last + 1, after.last_id() + 1))
    assert_same(seen, after.ids(last - 50, last))


def test_aggs_and_ids_cut_across_minutes() -> None:
    log = SeededLog(btc(), Clock((MINUTE + 3) * MINUTE_NS))
    border = log.market.first_id(MINUTE + 1)
    assert log.ids(border - 3, border + 2).ids.tolist() == list(range(border - 3, border + 3))
    agg = log.market.first_agg(MINUTE + 1)
    assert sorted(set(log.aggs(agg - 2, agg + 1).agg.tolist())) == [agg - 2, agg - 1, agg, agg + 1]
    assert len(log.ids(-10, 0)) == 0


def test_depth_changes_lead_from_one_book_to_the_next() -> None:
    clock = Clock(MINUTE * MINUTE_NS + 30_000_000_000)
    source = SeededSource(seeded_instruments(7, ["BTCUSDT"], 1.0), clock)
    book = source.book(BTC, 100)
    quote_bid = book.bids[0]
    assert len(book.bids) == len(book.asks) == 100
    assert float(quote_bid[0]) < float(book.asks[0][0])
    assert [float(price) for price, _ in book.bids] == sorted((float(p) for p, _ in book.bids), reverse=True)
    assert source.book(BTC, 100) == book
