"""What is read for an answer."""

from __future__ import annotations

import numpy as np
import pytest

from tapestream.analytics.core.query import RefusedError
from tapestream.analytics.core.series import Float64, Int64, Series
from tapestream.analytics.history import BarHistory, HistoryAwayError
from tapestream.analytics.queries import Queries
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import encode
from tapestream.common.contracts.pair_queries import PairRequest
from tests.unit.analytics.test_series import MINUTE

VENUE = "v"


class Kept(BarHistory):
    """Closes of a dense leg and of one that has every fifth bar only."""

    def __init__(self, bars: int) -> None:
        live = {(InstrumentName(leg, VENUE), "1m"): Series(1_000) for leg in ("DENSE", "SPARSE")}
        super().__init__("postgresql://nobody@127.0.0.1:1/none", None, ["1m"], live)  # type: ignore[arg-type]
        self.is_away = False
        prices = 100 + np.random.default_rng(3).normal(size=bars).cumsum()
        ts = np.arange(bars, dtype=np.int64) * MINUTE
        self.live = live
        self._kept = {"DENSE": (ts, prices), "SPARSE": (ts[::5], 2 * prices[::5] + np.sin(ts[::5]))}

    async def recorded(
        self,
        name: InstrumentName,
        timeframe: str,  # noqa: ARG002 - as the real one
        limit: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        oldest_first: bool = False,
    ) -> tuple[Int64, Float64]:
        if self.is_away:
            raise HistoryAwayError("the server is away")
        ts, close = self._kept[name.symbol]
        inside = (ts >= (start_ns or 0)) & (ts < (1 << 62 if end_ns is None else end_ns))
        part = slice(0, limit) if oldest_first else slice(-limit, None)
        return ts[inside][part], close[inside][part]


def request(**changes: object) -> bytes:
    asked = {"a": "DENSE@v", "b": "SPARSE@v", "timeframe": "1m", "window": 20, "method": "ols"} | changes
    return encode(PairRequest(**asked))  # type: ignore[arg-type]


def queries(history: BarHistory) -> Queries:
    return Queries(None, history, None, VENUE)  # type: ignore[arg-type]


async def test_a_page_is_warmed_up_where_a_leg_lacks_bars() -> None:
    reply = await queries(Kept(2_000)).pair(request(oldest_first=True, start_ns=1_000 * MINUTE, limit=50))
    assert reply.ts_ns[0] == 1_000 * MINUTE
    assert reply.zscore
    assert np.isfinite(np.array(reply.zscore, np.float64)).all()


@pytest.mark.parametrize("period", [{"limit": 50}, {"limit": 500, "start_ns": 1_500 * MINUTE}])
async def test_the_newest_rows_are_warmed_up_where_a_leg_lacks_bars(period: dict[str, int]) -> None:
    reply = await queries(Kept(2_000)).pair(request(**period))
    assert len(reply.ts_ns) == (50 if len(period) == 1 else 100)
    assert np.isfinite(np.array(reply.zscore, np.float64)).all()


async def test_what_is_read_from_its_beginning_is_whole_or_refused() -> None:
    history = Kept(100)
    for name, series in history.live.items():
        series.fill(*await history.recorded(name[0], "1m", 40))
    history.is_away = True

    newest = await queries(history).pair(request(limit=5))
    assert "history is away" in newest.warnings[0]
    name = InstrumentName("DENSE", VENUE)
    with pytest.raises(HistoryAwayError):
        await history.closes(name, "1m", 5, 70 * MINUTE, oldest_first=True, warnings=[])
    with pytest.raises(HistoryAwayError):
        await queries(history).pair(request(oldest_first=True, start_ns=0, limit=5))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"window": 10_000, "method": "theil-sen"}, "window"),
        ({"window": 10_000, "method": "huber"}, "window"),
        ({"window": 1_000, "method": "theil-sen", "limit": 2_001}, "limit"),
        ({"window": 20, "limit": 4_001}, "limit"),
    ],
)
async def test_what_would_take_minutes_is_refused_by_name(asked: dict[str, object], field: str) -> None:
    with pytest.raises(RefusedError) as refused:
        await queries(Kept(10)).pair(request(**asked))
    assert refused.value.field == field
