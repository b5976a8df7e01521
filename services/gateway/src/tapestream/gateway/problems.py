"""ProblemError details (RFC 9457): what was wrong, with which value, and what is allowed."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import msgspec
import nats.errors
import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from nats.js.errors import NotFoundError as StreamNotFoundError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from tapestream.common.db.faults import describe, is_passing
from tapestream.common.errors import NotConnectedError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_SHOWN = 200


class FieldError(BaseModel):
    """One wrong field."""

    field: str
    value: Any = None
    allowed: str = ""
    detail: str = ""


class ProblemDetails(BaseModel):
    """Body of every error answer."""

    type: str = Field("about:blank", description="about:blank: the status says what kind of problem it is")
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[FieldError] = Field(default_factory=list)


class ProblemError(Exception):
    """Ends a request with a problem answer."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str = "",
        value: Any = None,
        allowed: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}
        self.errors = (
            [FieldError(field=field, value=_shown(value), allowed=allowed, detail=detail)] if field else []
        )


def problem_response(
    status: int,
    detail: str,
    *,
    instance: str | None = None,
    errors: list[FieldError] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A finished answer."""
    body = ProblemDetails(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        errors=errors or [],
    )
    content = msgspec.json.encode(body.model_dump(mode="json", exclude_none=True))
    return Response(content, status, headers, MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error answers for the OpenAPI document."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every error of the application with problem details."""

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return problem_response(
            error.status, error.detail, instance=request.url.path, errors=error.errors, headers=error.headers
        )

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = _http_detail(request, error)
        headers = dict(error.headers or {})
        return problem_response(error.status_code, detail, instance=request.url.path, headers=headers)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = [_field_error(one) for one in error.errors()]
        detail = "; ".join(f"{one.field}: {one.detail}" for one in errors)
        return problem_response(422, detail, instance=request.url.path, errors=errors)

    async def on_bus(request: Request, error: Exception) -> Response:
        log.warning("bus_unavailable", path=request.url.path, error=repr(error))
        return problem_response(
            503,
            "NATS does not answer; try again shortly",
            instance=request.url.path,
            headers={"Retry-After": "1"},
        )

    async def on_database(request: Request, error: Exception) -> Response:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        # a gateway may be newer than the tables: ingest, which migrates them, starts beside it
        lacks_table = isinstance(cause, psycopg.errors.UndefinedTable)
        if isinstance(cause, psycopg.Error) and not is_passing(cause) and not lacks_table:
            return await on_crash(request, error)
        log.warning("database_unavailable", path=request.url.path, error=describe(cause))
        return problem_response(
            503,
            "the database is not migrated yet; try again shortly"
            if lacks_table
            else "the database does not answer; try again shortly",
            instance=request.url.path,
            headers={"Retry-After": "1"},
        )

    async def on_crash(request: Request, error: Exception) -> Response:
        log.error("request_failed", path=request.url.path, exc_info=error)
        return problem_response(500, "an error of ours; the log knows more", instance=request.url.path)

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    for kind in (NotConnectedError, nats.errors.Error, StreamNotFoundError, TimeoutError):
        app.add_exception_handler(kind, on_bus)
    for kind in (DBAPIError, PoolTimeoutError, psycopg.Error):
        app.add_exception_handler(kind, on_database)
    app.add_exception_handler(Exception, on_crash)


def _http_detail(request: Request, error: HTTPException) -> str:
    match error.status_code:
        case 404 if error.detail == HTTPStatus.NOT_FOUND.phrase:
            return f"there is nothing at {request.url.path}; see /docs"
        case 405:
            allowed = (error.headers or {}).get("Allow", "")
            return f"{request.method} is not possible here" + (f"; allowed: {allowed}" if allowed else "")
        case _:
            return str(error.detail)


def _field_error(one: dict[str, Any]) -> FieldError:
    place = [str(part) for part in one["loc"] if part not in ("query", "path", "header")]
    if place and place[0] == "body":
        place = place[1:] or ["body"]
    context = {key: value for key, value in (one.get("ctx") or {}).items() if key != "error"}
    allowed = ", ".join(f"{key} {value}" for key, value in context.items()) or one["msg"]
    return FieldError(
        field=".".join(place), value=_shown(one.get("input")), allowed=allowed, detail=one["msg"]
    )


def _shown(value: Any) -> Any:
    """A value as it may be echoed: short and printable as JSON."""
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text[:_SHOWN].encode("utf-8", "replace").decode()
