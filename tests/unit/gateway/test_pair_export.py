"""A pair's figures as CSV."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tapestream.common.contracts.pair_queries import PairReply, PairRequest
from tapestream.gateway import pair_export
from tapestream.gateway.problems import ProblemError

REPLY = PairReply(
    ts_ns=[0], hedge_ratio=[1.0], intercept=[0.0], spread=[1.0], zscore=[None], correlation=[0.5], method="ols",
    window=5, window_used=5, next_start_ns=None,
)  # fmt: skip
REQUEST = PairRequest(a="AAA@v", b="BBB@v", timeframe="1m", window=5, method="ols")
GATEWAY: Any = SimpleNamespace(
    settings=SimpleNamespace(venue="v"),
    is_known=lambda _name: True,
    memory=SimpleNamespace(shown=lambda name: name.symbol),
)


async def test_the_header_names_the_pair_as_it_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object) -> PairReply:
        return REPLY

    monkeypatch.setattr(pair_export, "ask", ask)
    text = b"".join(
        [piece async for piece in pair_export.pieces(GATEWAY, "aaa\r\n-bbb", REQUEST, {})]
    ).decode()
    lines = text.splitlines()
    assert lines[0] == "# pair=AAA-BBB timeframe=1m method=ols hedge="
    assert lines[-2].startswith("timestamp,")
    assert lines[-1] == "1970-01-01T00:00:00.000Z,1.0,1.0,,0.5"


async def test_what_stands_against_the_first_rows_comes_before_the_first_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(_gateway: object, _verb: str, request: PairRequest, *_: object) -> PairReply:
        if request.oldest_first:
            raise ProblemError(503, "history is away")
        return msgspec.structs.replace(REPLY, warnings=["history is away"])

    monkeypatch.setattr(pair_export, "ask", ask)
    with pytest.raises(ProblemError):
        await anext(pair_export.pieces(GATEWAY, "aaa-bbb", REQUEST, {}))
