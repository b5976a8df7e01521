"""The fold: any stop and restart gives the same signals."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tapestream.analytics.core.watch import Watch, read_watch
from tapestream.analytics.fold import PairsFold
from tapestream.common.bus.fold import Incoming, Output
from tapestream.common.contracts.instruments import InstrumentName, pair_text, parse_pair
from tapestream.common.contracts.messages import Bar, decoder, encode
from tapestream.common.contracts.signals import PairSignal, PairWatch
from tapestream.common.contracts.subjects import Subjects
from tapestream.quant.pairs import Method
from tests.unit.analytics.test_series import MINUTE

SUBJECTS = Subjects()
A, B = InstrumentName("AAA", "v"), InstrumentName("BBB", "w")
_decode = decoder(PairSignal).decode


def message(
    name: InstrumentName, minute: int, close: float, *, rev: int = 0, complete: bool = True
) -> Incoming:
    one = Bar(
        venue=name.venue, symbol=name.symbol, timeframe="1m", ts_ns=minute * MINUTE, open=1, high=1, low=1,
        close=close, volume=1, quote_volume=1, buy_volume=0, trades=1, first_id=1, last_id=1, complete=complete, rev=rev,
    )  # fmt: skip
    return Incoming(SUBJECTS.bar("1m", name.venue, name.symbol), encode(one), b"", minute, minute, 0, "BARS")


def fold(*watches: Watch, state: bytes | None = None) -> PairsFold:
    made = PairsFold(SUBJECTS, ["1m"], 100)
    if state is not None:
        made.load(state)
    for watch in watches:
        made.watch(watch)
    made.settle()
    return made


def market(rows: int) -> list[Incoming]:
    """Two legs with bars missing, out of order and revised."""
    rng = random.Random(4)
    messages: list[Incoming] = []
    price = 100.0
    for minute in range(rows):
        price += rng.gauss(0, 1)
        pair = [message(A, minute, 2 * price + rng.gauss(0, 1)), message(B, minute, price)]
        rng.shuffle(pair)
        messages += [one for one in pair if rng.random() > 0.05]
        if rng.random() < 0.1 and minute > 5:
            messages.append(message(A, minute - rng.randrange(5), 2 * price, rev=minute))
    return messages


@pytest.mark.parametrize("method", list(Method))
def test_a_restart_anywhere_changes_nothing(method: Method) -> None:
    watches = [Watch(A, B, "1m", 8, method), Watch(B, A, "1m", 5, method)]
    messages = market(80)
    whole = fold(*watches)
    wanted = [output for one in messages for output in whole.apply(one)]
    assert len(wanted) > 100
    assert len({(one.subject, one.key) for one in wanted}) == len(wanted)

    for cut in (1, 37, 90, 150):
        first = fold(*watches)
        got = [output for one in messages[:cut] for output in first.apply(one)]
        again = fold(*watches, state=first.dump())
        got += [output for one in messages[cut:] for output in again.apply(one)]
        assert got == wanted


def test_figures_come_when_both_legs_are_there_whichever_is_first() -> None:
    made = fold(Watch(A, B, "1m", 3, Method.OLS))
    assert list(made.apply(message(B, 1, 10.0))) == []
    assert list(made.apply(message(A, 1, 21.0, complete=False))) == []
    (output,) = made.apply(message(A, 1, 21.0))
    signal = _decode(output.payload)
    assert (signal.price_a, signal.price_b, signal.complete, signal.reason) == (21.0, 10.0, True, "too_short")
    assert output.subject == "sig.pair.1m.v.AAA.w.BBB"


def test_bars_that_the_other_leg_passed_by_are_counted() -> None:
    watch = Watch(A, B, "1m", 3, Method.OLS)
    made = fold(watch)
    for minute in (1, 2, 3, 4):
        list(made.apply(message(A, minute, 1.0 * minute)))
    for minute in (1, 4):
        list(made.apply(message(B, minute, 1.0 * minute)))
    assert (made.pairs[watch].dropped_a, made.pairs[watch].dropped_b) == (2, 0)


def test_provisional_figures_leave_the_state_alone() -> None:
    watch = Watch(A, B, "1m", 5, Method.OLS)
    made = fold(watch)
    for one in market(40):
        list(made.apply(one))
    before = made.dump()
    shown = made.pairs[watch].provisional(99 * MINUTE, 250.0, 120.0)
    assert not shown.complete
    assert shown.zscore is not None
    made.pairs[watch].is_outdated = made.pairs[watch].is_outdated
    assert made.pairs[watch].provisional(99 * MINUTE, 250.0, 120.0) == shown
    assert len(made.dump()) == len(before)


def test_a_watch_that_comes_back_repeats_no_bar() -> None:
    watch = Watch(A, B, "1m", 4, Method.OLS)
    made = fold()
    for one in market(30):
        list(made.apply(one))
    newest = made.watch(watch)
    assert newest is not None
    made.unwatch(watch)
    assert made.watch(watch) is None


@pytest.mark.parametrize("data", [b"{", b'{"v":1}'])
def test_what_cannot_be_read_is_refused(data: bytes) -> None:
    made = fold()
    with pytest.raises(ValueError, match=r"."):
        list(made.apply(message(A, 1, 1.0)._replace(data=data)))
    with pytest.raises(ValueError, match="no start"):
        list(
            made.apply(
                message(A, 1, 1.0)._replace(data=message(A, 1, 1.0).data.replace(b"0000,", b"0001,", 1))
            )
        )


def test_a_time_that_no_column_holds_is_refused() -> None:
    minute = (1 << 63) // MINUTE + 1
    with pytest.raises(ValueError, match="no start"):
        list(fold().apply(message(A, 1, 1.0)._replace(data=message(A, minute, 1.0).data)))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"timeframe": "3m"}, "bars are built for 1m, 5m only"),
        ({"window": 1}, "2 to 10000"),
        ({"window": 501, "method": "theil_sen"}, "2 to 500 bars with theil-sen"),
        ({"window": 501, "method": "huber"}, "2 to 500 bars with huber"),
        ({"method": "magic"}, "ols"),
        ({"b": "AAA@v"}, "two different instruments"),
        ({"a": "@"}, "SYMBOL@venue"),
    ],
)
def test_a_wish_that_cannot_be_met_says_why(wish: dict[str, object], said: str) -> None:
    whole = {"a": "AAA@v", "b": "BBB@w", "timeframe": "1m", "window": 5, "method": "ols"} | wish
    with pytest.raises(ValueError, match=said):
        read_watch(PairWatch(**whole), "v", ["1m", "5m"])  # type: ignore[arg-type]


def test_pairs_are_written_with_a_hyphen_or_a_comma() -> None:
    assert parse_pair("aaa-BBB@w", "v") == (A, B)
    assert parse_pair("BRK-B@w,aaa", "v") == (InstrumentName("BRK-B", "w"), A)
    assert pair_text("BRK-B", "AAA") == "BRK-B,AAA"
    for wrong in ("AAA", "A-B-C", "AAA-AAA", "-AAA", "A,B,C"):
        with pytest.raises(ValueError, match=r"pair|instrument"):
            parse_pair(wrong, "v")


def test_outputs_are_told_by_bar_window_method_and_revision() -> None:
    made = fold(Watch(A, B, "1m", 3, Method.OLS))
    outputs: list[Output] = []
    for minute in range(6):
        outputs += [
            *made.apply(message(B, minute, 10.0 + minute**2)),
            *made.apply(message(A, minute, 20.0 + minute)),
        ]
    (again,) = made.apply(message(A, 4, 33.0, rev=1))
    assert again.key == f"{4 * MINUTE}:3:ols:1"
    assert outputs[4].key == f"{4 * MINUTE}:3:ols:0"
    assert np.isfinite(_decode(again.payload).hedge_ratio or np.nan)
