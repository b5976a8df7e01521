"""Asking the recorder, whose tables they are, to delete old history."""

from __future__ import annotations

import time

import nats.errors
from pydantic import BaseModel, Field

from tapestream.common.bus.headers import TRACEPARENT
from tapestream.common.contracts.messages import CleanReply, CleanRequest, decoder, encode
from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.problems import ProblemError

TIMEOUT_S = 60.0
_decode_reply = decoder(CleanReply).decode


class Cleaned(BaseModel):
    """What was deleted."""

    status: str = "ok"
    older_than: str
    deleted: dict[str, int] = Field(description="Table → rows")
    dropped_partitions: list[str] = Field(description="Days that were dropped as a whole")


def cutoff(days: float) -> int:
    """The instant that many days ago, in nanoseconds."""
    return time.time_ns() - int(days * DAY_NS)


async def clean(gateway: Gateway, cutoff_ns: int, traceparent: str) -> Cleaned:
    """Have deleted what is older.

    Raises ProblemError: 503 where no recorder answers or it cannot delete now, 504 where it takes too long.
    """
    request = encode(CleanRequest(older_than_ns=cutoff_ns))
    subject = gateway.subjects.rpc("recorder", "clean")
    try:
        answer = await gateway.bus.nc.request(
            subject, request, timeout=TIMEOUT_S, headers={TRACEPARENT: traceparent}
        )
    except nats.errors.NoRespondersError:
        raise ProblemError(503, "the recorder does not answer: nobody can delete history now") from None
    except (nats.errors.TimeoutError, TimeoutError):
        raise ProblemError(
            504, f"the recorder has not finished within {TIMEOUT_S:g} s; it goes on deleting"
        ) from None
    reply = _decode_reply(answer.data)
    if reply.error:
        raise ProblemError(503, f"not everything could be deleted now: {reply.error}")
    return Cleaned(
        older_than=iso_utc(cutoff_ns), deleted=reply.deleted, dropped_partitions=reply.dropped_partitions
    )
