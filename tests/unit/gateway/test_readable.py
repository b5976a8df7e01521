"""Messages that cannot be understood are passed over."""

from __future__ import annotations

import msgspec
import pytest

from tapestream.common.contracts.messages import TradeBatch, encode
from tapestream.gateway.metrics import UNREADABLE
from tapestream.gateway.readable import readable_bar, readable_trades

GOOD = TradeBatch(
    venue="v",
    symbol="S",
    recv_ns=1,
    prev_id=-1,
    id=[1],
    ts_ns=[1],
    price=[1.0],
    qty=[1.0],
    buyer_maker=[True],
)
EMPTY = msgspec.structs.replace(GOOD, id=[], ts_ns=[], price=[], qty=[], buyer_maker=[])


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"{}", encode(EMPTY), encode(msgspec.structs.replace(GOOD, qty=[]))],
)
def test_what_is_no_batch_is_counted_and_passed_over(data: bytes) -> None:
    before = UNREADABLE._value.get()  # pyright: ignore[reportPrivateUsage]

    assert readable_trades(data, "md.trade.v.S", 7) is None
    assert UNREADABLE._value.get() == before + 1  # pyright: ignore[reportPrivateUsage]


def test_a_batch_is_read() -> None:
    assert readable_trades(encode(GOOD), "md.trade.v.S", 7) == GOOD
    assert readable_bar(encode(GOOD), "md.bar.1m.v.S", 7) is None
