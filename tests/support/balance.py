"""The account of every trade from what outlives any kill: the venue's own report, the stream, the tables.

Counters of a process die with it. These do not: what the simulator says that it delivered, over which
way; what the stream holds; what the tables say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import nats
from nats.js.api import AckPolicy, ConsumerConfig

from tapestream.common.contracts.messages import Gap, GapReason, TradeBatch
from tests.support.stack import Stack

FETCH = 500


def assert_balance(
    stack: Stack, symbol: str, delivered: dict[str, Any], rows: set[int], ledger: dict[str, set[int]]
) -> None:
    """Received + filled = recorded + declared missing, each by the way that the ledger says.

    ``delivered``: the simulator's report of the symbol; ``rows``: ids of the stored trades;
    ``ledger``: reason → ids. Nothing may have aged out of the streams.
    """
    in_order, behind = (
        [msgspec.json.decode(data, type=TradeBatch) for data in messages(stack, "MARKET", subject)]
        for subject in (f"md.trade.*.{symbol}", f"md.backfill.*.{symbol}")
    )
    published = {trade_id for batch in in_order for trade_id in batch.id}
    late = {trade_id for batch in behind for trade_id in batch.id}
    declared = [(gap.from_id, gap.to_id) for batch in in_order for gap in batch.gaps or ()]
    for data in messages(stack, "BARS", f"md.gap.*.{symbol}"):
        gap = msgspec.json.decode(data, type=Gap)
        declared.append((gap.from_id, gap.to_id))
    socket, rest = ids(delivered["socket"]), ids(delivered["rest"])
    filled = ledger.get(GapReason.FILLED, set())
    missing = set().union(*(found for reason, found in ledger.items() if reason != GapReason.FILLED))

    assert stack.subjects("DLQ") == [], "nothing was refused"
    assert published | late == rows, "what was published is recorded"
    assert ids(declared) == filled | missing, "what was declared is kept"
    assert filled <= rows, "what counts as filled is there"
    assert not missing & rows, "what counts as missing is not"
    assert rows - filled <= socket, "what is no fill came over the socket"
    assert filled <= rest | late, "a fill came over REST, or late"
    assert (socket | rest) - rows <= missing, "what was delivered and is not recorded is on record"


def ids(ranges: Iterable[tuple[int, int]]) -> set[int]:
    """Every id of some ranges, both ends included."""
    return {one for first, last in ranges for one in range(first, last + 1)}


def messages(stack: Stack, stream: str, subject: str) -> list[bytes]:
    """All that a stream holds under a subject, oldest first."""

    async def read() -> list[bytes]:
        client = await nats.connect(stack.nats)
        js = client.jetstream()
        found: list[bytes] = []
        held = (await js.stream_info(stream, subjects_filter=subject)).state.subjects or {}
        if held:
            reading = await js.pull_subscribe(
                subject, stream=stream, config=ConsumerConfig(ack_policy=AckPolicy.NONE)
            )
            while len(found) < sum(held.values()):
                found += [message.data for message in await reading.fetch(FETCH, timeout=5)]
        await client.close()
        return found

    return asyncio.run(read())
