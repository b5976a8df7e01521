"""Prices of provisional figures."""

from __future__ import annotations

import pytest

from tapestream.analytics.core.watch import Watch
from tapestream.analytics.fold import PairsFold
from tapestream.analytics.ticks import Ticks
from tapestream.common.bus.fold import Incoming
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import TradeBatch, decoder, encode
from tapestream.common.contracts.signals import PairSignal
from tapestream.common.contracts.subjects import Subjects
from tapestream.quant.pairs import Method
from tests.unit.analytics.test_fold import SUBJECTS, A, B, message
from tests.unit.analytics.test_series import MINUTE

WATCH = Watch(A, B, "1m", 3, Method.OLS)


class FakeBus:
    """Has subjects, and keeps what is sent."""

    def __init__(self) -> None:
        self.subjects: Subjects = SUBJECTS
        self.sent: list[PairSignal] = []

    def publish(self, _subject: str, payload: bytes) -> None:
        self.sent.append(decoder(PairSignal).decode(payload))


class Reading:
    """Ticks of a pair with bars of the minutes 0 to 4: ``A`` at 200, ``B`` at 100."""

    def __init__(self) -> None:
        self.bus = FakeBus()
        self.fold = PairsFold(SUBJECTS, ["1m"], 100)
        self.fold.watch(WATCH)
        for minute in range(5):
            self.bar(minute, 200.0, 100.0)
        self.ticks = Ticks(self.bus, self.fold)  # type: ignore[arg-type]
        self.ticks._wire = self.bus  # type: ignore[assignment]
        self.ticks.want({WATCH})

    def bar(self, minute: int, a: float, b: float) -> None:
        for name, close in ((A, a), (B, b)):
            list(self.fold.apply(message(name, minute, close)))

    def trade(self, name: InstrumentName, ident: int, ts_ns: int, price: float) -> PairSignal:
        batch = TradeBatch(
            venue=name.venue, symbol=name.symbol, recv_ns=ts_ns, prev_id=-1, id=[ident], ts_ns=[ts_ns],
            price=[price], qty=[1.0], buyer_maker=[False],
        )  # fmt: skip
        subject = SUBJECTS.trade(name.venue, name.symbol)
        self.ticks._on_trades(Incoming(subject, encode(batch), b"", ident, ident, 0, "MARKET"))
        return self.bus.sent[-1]


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_price_counts_until_a_bar_knows_better(comes_back: bool) -> None:
    reading = Reading()
    assert reading.trade(B, 1, 5 * MINUTE + 1, 111.0).price_b == 111.0
    if comes_back:
        reading.ticks.want(set())
        reading.ticks.want({WATCH})
        assert reading.trade(A, 2, 5 * MINUTE + 2, 222.0).price_b == 100.0
    else:
        assert reading.trade(A, 2, 5 * MINUTE + 2, 222.0).price_b == 111.0
        reading.bar(5, 203.0, 104.0)
    shown = reading.trade(A, 3, 6 * MINUTE + 1, 223.0)
    assert (shown.price_a, shown.price_b) == (223.0, 100.0 if comes_back else 104.0)
