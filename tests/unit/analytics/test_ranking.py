"""The radar's order, and what fits a message."""

from __future__ import annotations

import numpy as np

from tapestream.analytics.core.ranking import grid, ranked
from tapestream.analytics.fold import PairsFold
from tapestream.analytics.radar import MOST_BYTES, RadarKeeper, fitting
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import decoder
from tapestream.common.contracts.signals import Radar, RadarRow
from tapestream.common.contracts.subjects import Subjects
from tests.unit.analytics.test_series import MINUTE


def test_cointegrated_pairs_come_first_and_undefined_ones_last() -> None:
    rng = np.random.default_rng(2)
    x = 100 + rng.normal(size=300).cumsum()
    closes = np.stack(
        [x, 3 * x + rng.normal(size=300), 50 + rng.normal(size=300).cumsum(), np.full(300, 7.0)]
    )

    rows = ranked(["A", "B", "C", "FLAT"], closes, 240)

    assert [row.rank for row in rows] == [1, 2, 3, 4, 5, 6]
    assert (rows[0].a, rows[0].b) == ("A", "B")
    assert rows[0].pvalue is not None
    assert rows[0].pvalue < 0.05
    assert all("FLAT" in (row.a, row.b) for row in rows[-3:])
    assert all(row.pvalue is None and row.reason for row in rows[-3:])


def test_closes_lie_on_the_grid_of_their_bars() -> None:
    a = (np.array([10, 20, 40], np.int64), np.array([1.0, 2.0, 4.0]))
    table = grid([a], 40, 10, 3)
    assert np.isnan(table[0, 1])
    assert table[0, [0, 2]].tolist() == [2.0, 4.0]


def test_of_more_than_fits_the_best_are_kept() -> None:
    row = RadarRow(
        rank=1,
        a="A" * 40,
        b="B" * 40,
        pvalue=0.1,
        half_life_bars=1.0,
        correlation=0.1,
        zscore=0.1,
        hedge_ratio=0.1,
    )
    radar = Radar(timeframe="1m", window=240, ts_ns=1, pairs=5000, rows=[row] * 5000)
    payload = fitting(radar)
    assert len(payload) <= MOST_BYTES
    found = decoder(Radar).decode(payload)
    assert found.pairs == 5000
    assert 1000 < len(found.rows) < 5000


class Sent:
    """Takes what is published."""

    def put(self, *_: object, **__: object) -> None:
        """It goes nowhere."""


async def test_a_radar_that_lacks_bars_has_figures_of_its_window() -> None:
    rng = np.random.default_rng(5)
    fold = PairsFold(Subjects(), ["1m"])
    names = [InstrumentName(symbol, "v") for symbol in ("A", "B")]
    x = 100 + rng.normal(size=100).cumsum()
    for name, prices in zip(names, (x, 2 * x + rng.normal(size=100)), strict=True):
        fold.fill(name, "1m", np.arange(100, dtype=np.int64) * MINUTE, prices, 240)
    keeper = RadarKeeper(fold, Sent(), Subjects(), ["1m"], 240, 60, lambda: names)  # type: ignore[arg-type]

    await keeper._score(names, "1m", 99 * MINUTE)

    radar = keeper.newest["1m"]
    assert radar is not None
    assert radar.window == 60
    assert radar.rows[0].correlation is not None
    assert radar.rows[0].zscore is not None
