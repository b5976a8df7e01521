"""Several streams under one fold meet in the order in which they were stored, while it catches up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

from tapestream.common.bus.fold import Incoming, Output
from tapestream.common.bus.stateful import StatefulConsumer


class Notes:
    """A fold that remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int]] = []

    def apply(self, message: Incoming) -> Iterable[Output]:
        self.shown.append((message.stream, message.seq))
        return ()

    def dump(self) -> bytes:
        return b""

    def load(self, data: bytes) -> None: ...


def _message(stream: str, seq: int, stored_ns: int) -> Incoming:
    return Incoming(f"{stream}.x", b"", b"", seq, stored_ns, 0, stream)


async def test_a_stream_that_is_read_faster_waits_for_the_others() -> None:
    notes, readers = Notes(), [SimpleNamespace(caught_up=asyncio.Event()) for _ in range(2)]
    nothing: Any = None
    consumer = StatefulConsumer(
        nothing,
        name="notes",
        sources={"fast": [], "slow": []},
        fold=notes,
        publisher=nothing,
        on_degraded=print,
    )
    consumer.readers = cast(Any, readers)

    for seq in (1, 2, 3):
        consumer._receive(_message("fast", seq, seq * 10))
    assert notes.shown == []
    consumer._receive(_message("slow", 1, 15))
    assert notes.shown == [("fast", 1), ("slow", 1)]
    readers[1].caught_up.set()
    consumer._show_held()
    assert notes.shown[2:] == [("fast", 2), ("fast", 3)]
    readers[0].caught_up.set()
    consumer._receive(_message("slow", 2, 12))
    assert notes.shown[4:] == [("slow", 2)], "live, what comes is shown at once"
