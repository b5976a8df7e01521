"""HTTP routes, one file per area."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from tapestream.gateway.routes import (
    alerts,
    analytics,
    database,
    export,
    health,
    instruments,
    live,
    signals,
    stream,
)

CANONICAL = "/api/v1"


@dataclass(frozen=True)
class Area:
    """A router and where it is found."""

    router: APIRouter
    canonical: str = CANONICAL
    """Prefix under which it is documented."""

    def attach(self, app: FastAPI) -> None:
        """Serve it canonically and under the other form, which is left out of the document."""
        app.include_router(self.router, prefix=self.canonical)
        other = "" if self.canonical else CANONICAL
        app.include_router(self.router, prefix=other, include_in_schema=False)


ROUTERS = (
    Area(health.router, ""),
    Area(live.router),
    Area(stream.router),
    Area(instruments.router),
    Area(export.router),
    Area(database.router),
    Area(analytics.router),
    Area(signals.router),
    Area(alerts.router),
)
"""In the order in which they are asked."""
