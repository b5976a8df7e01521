"""Bars of a symbol from memory and history as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tapestream.common.bars import base_timeframe, merge_bars, resample
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.timeframes import bar_start_ns, timeframe_ns
from tapestream.gateway.core.bar_ring import BarRing
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.history import AWAY, away_text
from tapestream.gateway.problems import ProblemError
from tapestream.gateway.ticks import COUNT_TIMEOUT_S

MAX_PARTS = 200_000
"""Shorter bars that are read for longer ones at most."""


class Ohlcv:
    """Bars of one timeframe; what is not built is made from the longest shorter one that fits."""

    def __init__(self, gateway: Gateway, name: InstrumentName, timeframe: str) -> None:
        """Raises ProblemError (422) for a timeframe that cannot be had."""
        built = gateway.settings.resample_intervals
        allowed = f"{', '.join(built)}, or a multiple of one of them that divides a day"
        try:
            base = base_timeframe(timeframe, built)
        except ValueError as error:
            raise ProblemError(422, str(error), field="tf", value=timeframe, allowed=allowed) from None
        if base is None:
            detail = f"bars of {timeframe} cannot be made from what is built"
            raise ProblemError(422, detail, field="tf", value=timeframe, allowed=allowed)
        self._gateway, self._name, self.timeframe, self._base = gateway, name, timeframe, base
        self.warnings: list[str] = []
        """What is not as it should be with the answer."""
        self._parts = timeframe_ns(timeframe) // timeframe_ns(base)

    async def newest(self, start_ns: int | None, end_ns: int | None, limit: int) -> tuple[list[Bar], bool]:
        """The last ``limit`` bars that start in a period, oldest first, and whether there are older ones."""
        if self._parts == 1:
            found = await self._read(start_ns, end_ns, limit + 1)
        else:
            if (limit + 1) * self._parts > MAX_PARTS:
                most = MAX_PARTS // self._parts - 1
                detail = f"that many bars of {self.timeframe} are made of too many of {self._base}"
                raise ProblemError(422, detail, field="limit", value=limit, allowed=f"1 to {most}")
            found = resample(await self._read_aligned(start_ns, end_ns, limit), self.timeframe)
            found = [bar for bar in found if start_ns is None or bar.ts_ns >= start_ns]
        more = len(found) > limit or bool(self.warnings and found)
        return found[-limit:], more

    async def _read_aligned(self, start_ns: int | None, end_ns: int | None, limit: int) -> list[Bar]:
        """Whole groups of parts only: a bar must not be made from a part of its parts."""
        length = timeframe_ns(self.timeframe)
        if end_ns is not None:  # bars that start before the end count in full
            end_ns = bar_start_ns(end_ns - 1, length) + length
        most = (limit + 1) * self._parts
        parts = await self._read(start_ns, end_ns, most)
        if len(parts) == most:  # the oldest group may be cut
            cut = bar_start_ns(parts[0].ts_ns, length)
            parts = [part for part in parts if part.ts_ns >= cut + length]
        return parts

    async def _read(self, start_ns: int | None, end_ns: int | None, limit: int) -> list[Bar]:
        memory = self._gateway.memory.get(self._name)
        ring = memory.bars.get(self._base) if memory is not None else None
        held = ring.between(start_ns, end_ns) if ring is not None else []
        if ring is not None and _covers(ring, held, start_ns, limit):
            return held[-limit:]
        history = self._gateway.history
        try:
            number = await history.instrument_id(self._name) if history.configured else None
            if number is None:
                return held[-limit:]
            recorded = await history.bars(
                self._name, number, self._base, limit=limit, start_ns=start_ns, end_ns=end_ns
            )
        except AWAY as error:
            if not held:
                raise
            self.warnings.append(f"history is away, older bars are left out: {away_text(error)}")
            return held[-limit:]
        return merge_bars(recorded, held)[-limit:]

    async def oldest_first(
        self, start_ns: int | None, end_ns: int | None, chunk: int
    ) -> AsyncIterator[list[Bar]]:
        """All bars of a period from the oldest on, in chunks."""
        length = timeframe_ns(self.timeframe)
        history = self._gateway.history
        number = await history.instrument_id(self._name) if history.configured else None
        memory = self._gateway.memory.get(self._name)
        at = start_ns
        most = max(chunk, 2 * self._parts)
        while number is not None:
            parts = await history.bars(
                self._name, number, self._base, limit=most, start_ns=at, end_ns=end_ns, oldest_first=True
            )
            if len(parts) < most:
                break
            # the last group may go on in the next chunk
            cut = bar_start_ns(parts[-1].ts_ns, length) if self._parts > 1 else parts[-1].ts_ns + 1
            ring = memory.bars.get(self._base) if memory is not None else None
            held = ring.between(parts[0].ts_ns, cut) if ring is not None else []
            yield self._shape([part for part in merge_bars(parts, held) if part.ts_ns < cut], start_ns)
            at = cut
        ring = memory.bars.get(self._base) if memory is not None else None
        held = ring.between(at, end_ns) if ring is not None else []
        rest = (
            await history.bars(
                self._name, number, self._base, limit=most, start_ns=at, end_ns=end_ns, oldest_first=True
            )
            if number is not None
            else []
        )
        yield self._shape(merge_bars(rest, held), start_ns)

    def _shape(self, parts: list[Bar], start_ns: int | None) -> list[Bar]:
        if self._parts == 1:
            return parts
        return [bar for bar in resample(parts, self.timeframe) if start_ns is None or bar.ts_ns >= start_ns]

    async def count(self, start_ns: int | None, end_ns: int | None, shown: int, more: bool) -> int | None:
        """How many bars a period has; None where that is not cheap to know."""
        if not more:
            return shown
        history = self._gateway.history
        if self._parts > 1 or not history.configured:
            return None
        memory = self._gateway.memory.get(self._name)
        ring = memory.bars.get(self._base) if memory is not None else None
        held = ring.between(start_ns, end_ns) if ring is not None else []
        try:
            async with asyncio.timeout(COUNT_TIMEOUT_S):
                number = await history.instrument_id(self._name)
                if number is None:
                    return shown
                border = held[0].ts_ns if held else end_ns
                return len(held) + await history.count_bars(number, self._base, start_ns, border)
        except (TimeoutError, *AWAY):
            return None


def _covers(ring: BarRing, held: list[Bar], start_ns: int | None, limit: int) -> bool:
    """Whether memory alone answers: no bar is missing from where the answer begins."""
    whole_ns = ring.whole_from_ns
    if whole_ns is None:
        return False
    if start_ns is not None and start_ns >= whole_ns:
        return True
    return len(held) >= limit and held[-limit].ts_ns >= whole_ns
