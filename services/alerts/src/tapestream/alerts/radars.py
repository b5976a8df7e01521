"""For which timeframes there is a radar: analytics knows."""

from __future__ import annotations

import msgspec
import nats.errors

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import decoder, encode
from tapestream.common.contracts.pair_queries import RadarReply, RadarRequest

TIMEOUT_S = 2.0
_decode = decoder(RadarReply).decode


async def radar_fault(bus: Bus, timeframe: str) -> str | None:
    """Why there is no radar of a timeframe; None where there is one, and where nobody knows now."""
    subject = bus.subjects.rpc("analytics", "radar")
    try:
        answer = await bus.nc.request(subject, encode(RadarRequest(timeframe=timeframe)), timeout=TIMEOUT_S)
        reply = _decode(answer.data)
    except (nats.errors.Error, TimeoutError, OSError, msgspec.DecodeError):
        return None
    return reply.error if reply.error_field == "timeframe" else None
