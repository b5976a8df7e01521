"""The embedded servers as children, and what takes their place when addresses are given."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tapestream.common.supervisor.children import ChildPlan
from tapestream.common.supervisor.embedded.nats import EmbeddedNats
from tapestream.common.supervisor.embedded.postgres import EmbeddedPostgres
from tapestream.common.supervisor.embedded.server import EmbeddedServer
from tapestream.common.supervisor.ports import NeededPort
from tapestream.common.supervisor.settings import SupervisorSettings


@dataclass(frozen=True)
class Servers:
    """NATS and Postgres of one run: ours where no address was given."""

    settings: SupervisorSettings
    nats: EmbeddedNats | None
    postgres: EmbeddedPostgres | None

    @classmethod
    def of(cls, settings: SupervisorSettings, folder: Path) -> Servers:
        nats = postgres = None
        if not settings.nats_url:
            nats = EmbeddedNats(folder / "nats", settings.nats_port, store_bytes=settings.stream_store_bytes)
        if not settings.database_url.get_secret_value():
            postgres = EmbeddedPostgres(folder / "postgres", settings.postgres_port)
        return cls(settings, nats, postgres)

    def ports(self) -> list[NeededPort]:
        needed: list[NeededPort] = []
        if self.nats:
            needed.append(NeededPort(self.nats.host, self.nats.port, "NATS_PORT", "NATS"))
        if self.postgres:
            needed.append(NeededPort(self.postgres.host, self.postgres.port, "POSTGRES_PORT", "Postgres"))
        return needed

    def plans(self) -> list[ChildPlan]:
        return [_plan(server) for server in (self.nats, self.postgres) if server]

    def prepare(self) -> None:
        """What the start of others needs to know: the database's password is made with the cluster."""
        if self.postgres:
            self.postgres.prepare()

    @property
    def nats_url(self) -> str:
        return self.nats.url if self.nats else self.settings.nats_url

    @property
    def database_url(self) -> str:
        """With the password."""
        return self.postgres.url if self.postgres else self.settings.database_url.get_secret_value()

    def postgres_shown(self) -> str:
        """For the banner: without the password."""
        return re.sub(r"(://[^:/@\s]*):[^@/\s]*@", r"\1@", self.database_url)

    def psql_shown(self) -> str:
        """A line to paste into a shell."""
        if not self.postgres:
            return ""
        psql = "psql" if shutil.which("psql") else os.path.relpath(self.postgres.psql)
        passwords = os.path.relpath(self.postgres.password_file)
        return f"PGPASSFILE={passwords} {psql} {self.postgres.safe_url}"


def _plan(server: EmbeddedServer) -> ChildPlan:
    return ChildPlan(
        name=server.name,
        command=server.command,
        before_start=server.prepare,
        is_ready=server.is_ready,
        ready_within_s=server.ready_within_s,
        is_server=True,
        stop_signal=server.stop_signal,
        death_signal=server.stop_signal,
        identity=lambda: server.identity,
        work_folder=server.work_folder,
    )
