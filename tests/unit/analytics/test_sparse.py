"""Pairs whose legs have few bars in common."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tapestream.analytics.core.watch import Watch
from tapestream.analytics.fold import PairsFold
from tapestream.analytics.watcher import Watcher
from tapestream.common.bus.fold import Incoming
from tapestream.common.contracts.messages import decoder
from tapestream.common.contracts.signals import PairSignal
from tapestream.quant.pairs import Method, adf, half_life, pair_series
from tests.unit.analytics.test_fold import SUBJECTS, A, B, fold, message
from tests.unit.analytics.test_queries import Kept
from tests.unit.analytics.test_series import MINUTE

EVERY, WINDOW, KEPT = 20, 20, 100
_decode = decoder(PairSignal).decode


def prices(rows: int) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(8)
    x = 100 + rng.normal(size=rows).cumsum()
    return (2 * x + rng.normal(size=rows)).tolist(), x.tolist()


def market(rows: int) -> list[Incoming]:
    """A bar of ``A`` each minute, one of ``B`` each twentieth."""
    y, x = prices(rows)
    messages: list[Incoming] = []
    for row in range(rows):
        messages += [message(A, row * EVERY + at, y[row] if at == 0 else 1.0) for at in range(EVERY)]
        messages.append(message(B, row * EVERY, x[row]))
    return messages


def expected(y: list[float], x: list[float], method: Method) -> tuple[float, float, float, float]:
    found = pair_series(y, x, WINDOW, method)
    ratio = float(found.hedge_ratio[-1])
    spread = np.array(y[-WINDOW:]) - ratio * np.array(x[-WINDOW:])
    return ratio, float(found.zscore[-1]), adf(spread).statistic, half_life(spread).value


def figures(signal: PairSignal) -> tuple[float, ...]:
    values = (signal.hedge_ratio, signal.zscore, signal.adf_statistic, signal.half_life_bars)
    return tuple(math.nan if value is None else value for value in values)


@pytest.mark.parametrize("method", [Method.OLS, Method.KALMAN])
def test_tests_and_rebuilds_see_the_rows_that_the_stream_has(method: Method) -> None:
    rows = 60
    y, x = prices(rows)
    made = fold(Watch(A, B, "1m", WINDOW, method))
    outputs = [output for one in market(rows) for output in made.apply(one)]
    assert len(outputs) == rows
    newest = _decode(outputs[-1].payload)
    assert figures(newest) == pytest.approx(expected(y, x, method), rel=1e-6, nan_ok=True)
    assert newest.adf_statistic is not None

    y[-3] += 5.0  # the series still hold this bar, but few of those before it
    revised = message(A, (rows - 3) * EVERY, y[-3], rev=1)
    (again,) = made.apply(revised)
    wanted = expected(y[:-2], x[:-2], method)
    assert figures(_decode(again.payload)) == pytest.approx(wanted, rel=1e-6, nan_ok=True)
    list(made.apply(message(A, rows * EVERY, 200.0)))
    (following,) = made.apply(message(B, rows * EVERY, 100.0))
    wanted = expected([*y, 200.0], [*x, 100.0], method)
    assert figures(_decode(following.payload)) == pytest.approx(wanted, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("method", [Method.OLS, Method.KALMAN])
def test_a_restart_keeps_rows_that_the_series_have_lost(method: Method) -> None:
    watch = Watch(A, B, "1m", WINDOW, method)
    messages = market(60)
    messages.insert(-EVERY, message(A, 57 * EVERY, 333.0, rev=1))
    whole = fold(watch)
    wanted = [output for one in messages for output in whole.apply(one)]
    cut = len(messages) - 2 * EVERY
    first = fold(watch)
    got = [output for one in messages[:cut] for output in first.apply(one)]
    again = fold(watch, state=first.dump())
    got += [output for one in messages[cut:] for output in again.apply(one)]
    assert got == wanted


async def test_a_pair_is_warmed_up_with_as_many_rows_as_it_needs() -> None:
    history = Kept(2_000)
    made = PairsFold(SUBJECTS, ["1m"], KEPT)
    watcher = Watcher(None, None, made, history, lambda _: None)  # type: ignore[arg-type]
    dense, sparse = (name for name, _ in history.live)
    watch = Watch(dense, sparse, "1m", 2 * WINDOW, Method.OLS)

    await watcher._warm_up(watch, may_begin=True)
    newest = made.watch(watch, older=await watcher._older(watch))

    assert newest is not None
    assert newest.ts_ns == 1_995 * MINUTE
    assert newest.zscore is not None
    assert len(made.pairs[watch].rows) >= 2 * watch.window - 1
    assert await watcher._older(watch) is None
