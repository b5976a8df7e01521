"""One word about the database for a process in which several writers have a connection each."""

from __future__ import annotations

from tapestream.common.telemetry.health import Health

COMPONENT = "database"


class DatabaseHealth:
    """Well when all writers are."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._problems: dict[str, str] = {}

    def bad(self, writer: str, detail: str) -> None:
        self._problems[writer] = detail
        self._tell()

    def good(self, writer: str) -> None:
        self._problems.pop(writer, None)
        self._tell()

    def _tell(self) -> None:
        detail = "; ".join(f"{writer}: {text}" for writer, text in self._problems.items())
        self._health.set(COMPONENT, not self._problems, detail)
