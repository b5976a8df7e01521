"""Numbers from a venue's REST are checked as those from its socket are."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tapestream.ingest.venues._binance import _rest_trades

GOOD = {"id": 1, "price": "2.5", "qty": "0.1", "time": 1_700_000_000_000, "isBuyerMaker": True}


def body(**changed: Any) -> bytes:
    return json.dumps([GOOD, GOOD | {"id": 2} | changed]).encode()


def test_good_numbers_pass() -> None:
    assert [trade.price for trade in _rest_trades(body())] == [2.5, 2.5]


@pytest.mark.parametrize(
    "changed",
    [{"price": ""}, {"price": "NaN"}, {"qty": "-1"}, {"qty": "inf"}, {"price": None}, {"id": "x"}],
    ids=str,
)
def test_rubbish_is_one_kind_of_error(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.MsgspecError):
        _rest_trades(body(**changed))
