"""The API's documents: served from here whole, without a script from anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from tapestream.gateway.asyncapi import asyncapi_document
from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.problems import ProblemDetails

_PAGE = (Path(__file__).parent / "static" / "docs.html").read_bytes()
_SCHEMA_REF = "#/components/schemas/{model}"


class Root(BaseModel):
    """What this is."""

    status: str
    service: str
    version: str
    docs: str
    websocket: str
    endpoints: list[str] = Field(description="Method and path")


def documented(app: FastAPI) -> None:
    """Serve the root, the OpenAPI document, the pages that show it, and the AsyncAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change it

    @app.get("/", tags=["documents"])
    async def root(gateway: TheGateway) -> Root:
        """What this is and what it offers."""
        paths = app.openapi()["paths"]
        return Root(
            status="ok" if gateway.health.ready else "starting",
            service="Tapestream",
            version=gateway.version,
            docs="/docs",
            websocket="/ws",
            endpoints=[f"{method.upper()} {path}" for path, methods in paths.items() for method in methods],
        )

    async def openapi_json() -> Response:
        return Response(msgspec.json.encode(app.openapi()), media_type="application/json")

    async def asyncapi_json(gateway: TheGateway) -> Response:
        document = asyncapi_document(gateway.subjects, gateway.version)
        return Response(msgspec.json.encode(document), media_type="application/json")

    async def page() -> Response:
        return Response(_PAGE, media_type="text/html; charset=utf-8")

    for prefix in ("", "/api", "/api/v1"):
        app.add_api_route(f"{prefix}/openapi.json", openapi_json, include_in_schema=False)
        app.add_api_route(f"{prefix}/asyncapi", asyncapi_json, include_in_schema=False)
        app.add_api_route(f"{prefix}/asyncapi.json", asyncapi_json, include_in_schema=False)
        app.add_api_route(f"{prefix}/docs", page, include_in_schema=False)
        app.add_api_route(f"{prefix}/redoc", page, include_in_schema=False)


def _openapi(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    problem = ProblemDetails.model_json_schema(ref_template=_SCHEMA_REF)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(problem.pop("$defs", {}))
    schemas["ProblemDetails"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "API_TOKEN, where one is set"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same"},
    }
    document["security"] = [{}, {"bearer": []}, {"key": []}]
    return document
