"""Asking another service."""

from __future__ import annotations

from typing import TypeVar

import nats.errors

from tapestream.common.bus.headers import TRACEPARENT
from tapestream.common.contracts.messages import Message, decoder, encode
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.problems import ProblemError

_R = TypeVar("_R", bound=Message)


async def ask(
    gateway: Gateway,
    service: str,
    verb: str,
    message: Message,
    reply: type[_R],
    traceparent: str,
    timeout_s: float = 10.0,
) -> _R:
    """The answer of ``rpc.<service>.<verb>``. Raises ProblemError: 503 where nobody answers, 504 when too late."""
    subject = gateway.subjects.rpc(service, verb)
    try:
        answer = await gateway.bus.nc.request(
            subject, encode(message), timeout=timeout_s, headers={TRACEPARENT: traceparent}
        )
    except nats.errors.NoRespondersError:
        raise ProblemError(
            503, f"{service} does not answer; try again shortly", headers={"Retry-After": "1"}
        ) from None
    except (nats.errors.TimeoutError, TimeoutError):
        raise ProblemError(504, f"{service} did not answer within {timeout_s:g} s") from None
    return decoder(reply).decode(answer.data)
