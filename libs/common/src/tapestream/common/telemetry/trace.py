"""W3C trace context: one id from a request to everything that it causes."""

from __future__ import annotations

import re
import secrets

import structlog

_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def start_trace(traceparent: str | None = None) -> str:
    """Continue the caller's trace or begin one, bind its id to the logs, return the ``traceparent`` to pass on."""
    match = _FORM.fullmatch(traceparent or "")
    trace_id = match[1] if match and match[1].strip("0") else secrets.token_hex(16)
    structlog.contextvars.bind_contextvars(trace_id=trace_id)
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"
