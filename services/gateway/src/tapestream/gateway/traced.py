"""Handing a request's trace on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request


def _traceparent_of(request: Request) -> str:
    return request.state.traceparent


TraceParent = Annotated[str, Depends(_traceparent_of)]
"""W3C trace context for what the request causes."""
