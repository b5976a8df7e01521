"""The embedded servers by themselves: quick starts, real kills."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import nats
import psycopg
import pytest

from tapestream.common.errors import DataFolderError
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres, ServerStartError
from tapestream.common.supervisor.embedded import postgres as postgres_module
from tapestream.common.supervisor.spawn import Identity

from .conftest import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def postgres(tmp_path: Path, template: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path / "postgres", template=template) as server:
        yield server


def _count(server: EmbeddedPostgres) -> int:
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
        return int(row[0]) if row else 0


def _insert(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (x int)")
        connection.execute("INSERT INTO t VALUES (1)")


async def test_nats_keeps_acknowledged_messages_through_a_kill(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path / "nats") as server:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(name="S", subjects=["s"])
        await client.jetstream().publish("s", b"kept")
        await client.close()
        server.kill()
        assert not server.is_running
        server.start()
        client = await nats.connect(server.url)
        message = await client.jetstream().get_msg("S", 1)
        assert message.data == b"kept"
        await client.close()


def test_postgres_keeps_committed_rows_through_a_kill(postgres: EmbeddedPostgres) -> None:
    _insert(postgres)
    postgres.kill()
    postgres.start()
    assert _count(postgres) == 1


def test_postgres_keeps_rows_through_a_stop(postgres: EmbeddedPostgres) -> None:
    _insert(postgres)
    postgres.stop()
    assert not (postgres.cluster / "postmaster.pid").exists()
    postgres.start()
    assert _count(postgres) == 1


def test_a_stale_pid_file_that_names_a_living_process_is_no_obstacle(postgres: EmbeddedPostgres) -> None:
    pid_file = postgres.cluster / "postmaster.pid"
    stale = pid_file.read_text().split("\n", 1)
    postgres.kill()
    pid_file.write_text(f"{os.getpid()}\n{stale[1]}")  # as after a reboot: our id was given again
    postgres.start()


def test_backends_that_outlive_their_postmaster_are_no_obstacle(postgres: EmbeddedPostgres) -> None:
    started = threading.Event()

    def busy() -> None:
        with psycopg.connect(postgres.url) as connection:
            started.set()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT count(*) FROM generate_series(1, 100000000000)")

    thread = threading.Thread(target=busy)
    thread.start()
    assert started.wait(10)
    os.kill(postgres.pid, 9)  # the postmaster alone
    wait_for("it is dead", lambda: not postgres.is_running)
    postgres.start()
    thread.join(10)
    assert not thread.is_alive()


def test_template_makes_the_second_cluster_a_copy(tmp_path: Path, template: Path) -> None:
    with (
        EmbeddedPostgres(tmp_path / "a", template=template) as first,
        EmbeddedPostgres(tmp_path / "b", template=template) as second,
    ):
        _insert(first)
        _insert(second)
        assert _count(first) == _count(second) == 1
    assert [entry.name for entry in template.iterdir()] == ["cluster-18"]


def test_a_cluster_of_another_version_is_refused(tmp_path: Path, template: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "old", template=template)
    server.prepare()
    (server.cluster / "PG_VERSION").write_text("15\n")
    with pytest.raises(DataFolderError, match="made by Postgres 15"):
        server.prepare()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        EmbeddedNats(tmp_path / "one") as first,
        pytest.raises(ServerStartError, match="nats did not start"),
    ):
        EmbeddedNatsOnTakenPort(tmp_path / "two", first.port).start(5)


class EmbeddedNatsOnTakenPort(EmbeddedNats):
    """Its probe would be answered by the server that has the port."""

    def is_ready(self) -> bool:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_where_user_namespaces_are_forbidden_root_becomes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Identity("set", 65534, 65534)
    if not _can_run_as(nobody.uid):
        pytest.skip("this environment's files are out of nobody's reach")
    monkeypatch.setattr(postgres_module, "postgres_identity", lambda _: nobody)
    # Not under pytest's folders, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name) / "postgres") as server:
        _insert(server)
        assert server.cluster.stat().st_uid == nobody.uid
        server.kill()
        server.start()
        assert _count(server) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's part")
def test_runs_for_an_ordinary_user() -> None:
    if not _can_run_as(65534):
        pytest.skip("this environment's files are out of nobody's reach")
    program = (
        "import sys; from pathlib import Path\n"
        "from tapestream.common.supervisor.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1])) as server: print(server.identity)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", program, name],
            user=65534,
            group=65534,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.strip() == "same", done.stderr


def _can_run_as(uid: int) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import tapestream.common.supervisor.embedded"],
            user=uid,
            group=uid,
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
