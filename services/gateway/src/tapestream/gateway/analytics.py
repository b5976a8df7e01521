"""Asking analytics."""

from __future__ import annotations

from typing import Any, TypeVar

import nats.errors

from tapestream.common.contracts.instruments import InstrumentName, pair_text, parse_pair
from tapestream.common.contracts.messages import Message, decoder, encode
from tapestream.common.contracts.pair_limits import METHODS, method_named
from tapestream.common.contracts.pair_queries import AdfReply, PairReply, RadarReply
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.problems import ProblemError

TIMEOUT_S = 10.0
_FIELDS = {"a": "pair", "b": "pair", "timeframe": "tf", "end_ns": "end"}
_BAD_REQUEST = {"tf", "method", "window"}
"""Fields that seed 3 answers with 400; others are 422."""

R = TypeVar("R", PairReply, AdfReply, RadarReply)


async def ask(
    gateway: Gateway, verb: str, request: Message, reply_type: type[R], values: dict[str, Any]
) -> R:
    """The answer of ``rpc.analytics.<verb>``; ``values`` are the fields as the client wrote them.

    Raises ProblemError: 400 or 422 for what cannot be answered, 503 where analytics does not answer.
    """
    subject = gateway.subjects.rpc("analytics", verb)
    away = {"Retry-After": "1"}
    try:
        answer = await gateway.bus.nc.request(subject, encode(request), timeout=TIMEOUT_S)
    except nats.errors.NoRespondersError:
        detail = "analytics does not answer: it is not running, or still reads what is stored"
        raise ProblemError(503, detail, headers=away) from None
    except (nats.errors.TimeoutError, TimeoutError):
        raise ProblemError(503, f"analytics did not answer within {TIMEOUT_S:g} s", headers=away) from None
    reply = decoder(reply_type).decode(answer.data)
    if not reply.error:
        return reply
    if reply.error_field == "history":
        raise ProblemError(503, f"analytics: {reply.error}", headers=away)
    if reply.error_field == "internal":
        raise ProblemError(500, f"analytics: {reply.error}")
    field = _FIELDS.get(reply.error_field, reply.error_field) or "pair"
    status = 400 if field in _BAD_REQUEST else 422
    allowed = reply.error.partition(": ")[2] or reply.error
    raise ProblemError(status, reply.error, field=field, value=values.get(field), allowed=allowed)


def known_pair(gateway: Gateway, text: str) -> tuple[InstrumentName, InstrumentName]:
    """Both instruments of a pair.

    Raises ProblemError: 422 for what is no pair, 404 for an instrument that is not known.
    """
    try:
        a, b = parse_pair(text, gateway.settings.venue)
    except ValueError as error:
        allowed = "A-B, such as BTCUSDT-ETHUSDT, or A,B where a symbol has a hyphen"
        raise ProblemError(422, str(error)[:300], field="pair", value=text, allowed=allowed) from None
    for name in (a, b):
        if not gateway.is_known(name):
            raise ProblemError(
                404,
                f"symbol {str(name)[:64]!r} is not known",
                field="pair",
                value=text,
                allowed=gateway.catalog.allowed_text(),
            )
    return a, b


def known_method(gateway: Gateway, text: str | None) -> str:
    """The method of a name in any case. Raises ProblemError (400)."""
    if text is None or not text.strip():
        return gateway.settings.default_regression
    plain = method_named(text)
    if plain is None:
        allowed = ", ".join(METHODS)
        raise ProblemError(
            400, f"method {text[:64]!r} is not known", field="method", value=text, allowed=allowed
        )
    return plain


def shown_pair(gateway: Gateway, a: InstrumentName, b: InstrumentName) -> str:
    """A pair as it is written outside."""
    return pair_text(gateway.memory.shown(a), gateway.memory.shown(b))
