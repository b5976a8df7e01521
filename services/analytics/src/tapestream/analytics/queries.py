"""Answers to ``rpc.analytics.pair``, ``.adf`` and ``.radar``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import nats.errors
import numpy as np
import structlog
from nats.aio.msg import Msg

from tapestream.analytics import metrics
from tapestream.analytics.core.query import (
    Asked,
    Legs,
    RefusedError,
    answer,
    answer_adf,
    joined_legs,
    understood,
)
from tapestream.analytics.history import BarHistory, HistoryAwayError
from tapestream.analytics.radar import RadarKeeper
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import Message, decoder, encode
from tapestream.common.contracts.pair_queries import (
    AdfReply,
    AdfRequest,
    PairReply,
    PairRequest,
    RadarReply,
    RadarRequest,
)

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""Requests that are worked on at the same time."""
MOST_BARS = 300_000
"""Bars that are read of a leg at most for one answer."""
_pair, _adf, _radar = decoder(PairRequest).decode, decoder(AdfRequest).decode, decoder(RadarRequest).decode


class Queries:
    """Reads what a question needs and computes in a thread, so that others are served meanwhile."""

    def __init__(self, bus: Bus, history: BarHistory, radar: RadarKeeper, default_venue: str) -> None:
        self._bus, self._history, self._radar_keeper = bus, history, radar
        self._venue = default_venue
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def serve(self) -> None:
        """Subscribe; requests are answered from then on, by one of several processes each."""
        verbs: dict[str, tuple[Callable[[bytes], Awaitable[Message]], type]] = {
            "pair": (self.pair, PairReply),
            "adf": (self.adf, AdfReply),
            "radar": (self.radar, RadarReply),
        }
        for verb, (handler, reply_type) in verbs.items():

            async def on_message(message: Msg, verb=verb, handler=handler, reply_type=reply_type) -> None:
                task = asyncio.create_task(self._answer(message, verb, handler, reply_type))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

            subject = self._bus.subjects.rpc("analytics", verb)
            await self._bus.nc.subscribe(subject, queue="analytics", cb=on_message)

    async def drained(self) -> None:
        """Return when every request that came has its answer."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(
        self, message: Msg, verb: str, handler: Callable[[bytes], Awaitable[Message]], reply_type: type
    ) -> None:
        began = time.perf_counter()
        outcome = "ok"
        try:
            async with self._turns:
                reply = await handler(message.data)
        except RefusedError as error:
            outcome, reply = "refused", reply_type(error=str(error), error_field=error.field)
        except msgspec.DecodeError as error:
            outcome, reply = "refused", reply_type(error=f"the request cannot be read: {error}")
        except HistoryAwayError as error:
            outcome, reply = "away", reply_type(error=f"history is away: {error}", error_field="history")
        except Exception as error:
            log.exception("request_failed", verb=verb)
            outcome, reply = (
                "failed",
                reply_type(error=f"an error of ours: {error!r}", error_field="internal"),
            )
        metrics.requests.labels(verb, outcome).inc()
        metrics.request_seconds.labels(verb).observe(time.perf_counter() - began)
        try:
            await message.respond(encode(reply))
        except (nats.errors.Error, OSError) as error:
            log.warning("answer_lost", verb=verb, error=repr(error))

    # --- the questions

    async def pair(self, data: bytes) -> PairReply:
        """Raises RefusedError, HistoryAwayError and DecodeError."""
        request = _pair(data)
        asked = understood(request, self._venue, self._history.built)
        warnings: list[str] = []
        if request.oldest_first and request.start_ns is not None:
            legs = await self._legs_forward(asked, request, warnings)
        else:
            legs = await self._legs_back(
                asked, request.limit, request.start_ns, request.end_ns, warnings, asked.warm_up
            )
        return await asyncio.to_thread(answer, asked, legs, warnings, may_shrink=not request.oldest_first)

    async def adf(self, data: bytes) -> AdfReply:
        """Raises as :meth:`pair` does."""
        request = _adf(data)
        asked = understood(request, self._venue, self._history.built)
        warnings: list[str] = []
        if asked.b is None:
            ts, close, _ = await self._history.closes(
                asked.a, asked.timeframe, asked.window, None, request.end_ns, warnings=warnings
            )
            return await asyncio.to_thread(answer_adf, asked, ts, close, None, warnings)
        legs = await self._legs_back(asked, 1, None, request.end_ns, warnings, asked.warm_up)
        return await asyncio.to_thread(answer_adf, asked, legs.ts_ns, legs.a, legs.b, warnings)

    async def radar(self, data: bytes) -> RadarReply:
        """Raises RefusedError and DecodeError."""
        request = _radar(data)
        kept = self._radar_keeper.newest
        if request.timeframe not in kept:
            allowed = ", ".join(kept) or "none: set RADAR_TIMEFRAMES"
            raise RefusedError(
                "timeframe", f"timeframe {request.timeframe!r} has no radar; there are: {allowed}"
            )
        return RadarReply(radar=kept[request.timeframe], timeframes=list(kept))

    # --- reading

    async def _legs_back(
        self,
        asked: Asked,
        rows: int,
        start_ns: int | None,
        end_ns: int | None,
        warnings: list[str],
        warm_up: int,
    ) -> Legs:
        """The newest ``rows`` of a period, and ``warm_up`` bars before them, or as many as there are."""
        assert asked.b is not None
        limit = rows + warm_up + 2
        while True:
            said: list[str] = []
            sides = [
                await self._history.closes(name, asked.timeframe, limit, None, end_ns, warnings=said)
                for name in (asked.a, asked.b)
            ]
            (ts_a, close_a, more_a), (ts_b, close_b, more_b) = sides
            ts, a, b, alone_a, alone_b = joined_legs((ts_a, close_a), (ts_b, close_b))
            first = max(0, len(ts) - rows)
            is_enough = len(ts) >= rows + warm_up
            if start_ns is not None:
                begin = int(np.searchsorted(ts, start_ns))
                first = max(first, begin)
                is_enough = is_enough or begin >= max(1, warm_up)
            if is_enough or not (more_a or more_b) or limit >= MOST_BARS:
                break
            limit *= 2
        warnings += dict.fromkeys(said)
        spare = max(0, first - warm_up)
        return Legs(ts[spare:], a[spare:], b[spare:], alone_a, alone_b, first - spare)

    async def _legs_forward(self, asked: Asked, request: PairRequest, warnings: list[str]) -> Legs:
        """The oldest rows of a period, and before them what warms them up."""
        assert asked.b is not None
        assert request.start_ns is not None
        at = request.start_ns
        while True:
            said: list[str] = []
            sides = [
                await self._history.closes(
                    name,
                    asked.timeframe,
                    request.limit + 1,
                    at,
                    request.end_ns,
                    oldest_first=True,
                    warnings=said,
                )
                for name in (asked.a, asked.b)
            ]
            ends = [int(ts[-1]) for ts, _, more in sides if more and len(ts)]
            horizon = min(ends, default=None)
            (ts_a, close_a, _), (ts_b, close_b, _) = sides
            if horizon is not None:
                ts_a, close_a = ts_a[ts_a <= horizon], close_a[ts_a <= horizon]
                ts_b, close_b = ts_b[ts_b <= horizon], close_b[ts_b <= horizon]
            ts, a, b, alone_a, alone_b = joined_legs((ts_a, close_a), (ts_b, close_b))
            if len(ts) or horizon is None:
                break
            at = horizon + 1
        following = None if horizon is None else horizon + 1
        if len(ts) > request.limit:
            following = int(ts[request.limit])
        page = slice(0, request.limit)
        ts, a, b = ts[page], a[page], b[page]
        warnings += dict.fromkeys(said)
        before_ns = int(ts[0]) if len(ts) else at
        missing: list[str] = []
        warm = await self._legs_back(asked, asked.warm_up, None, before_ns, missing, 0)
        if missing and self._history.is_configured:  # it went away since: rows would lack their figures
            raise HistoryAwayError(missing[0])
        warnings += [text for text in missing if text not in warnings]
        return Legs(
            np.concatenate([warm.ts_ns, ts]),
            np.concatenate([warm.a, a]),
            np.concatenate([warm.b, b]),
            alone_a,
            alone_b,
            len(warm.ts_ns),
            following,
        )
