"""The supervisor with real servers and real children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from .conftest import Run, living, wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
Start = Callable[..., Run]

EX_CONFIG = 78


def test_starts_all_tells_them_apart_and_stops_in_order(start: Start, environment: dict[str, str]) -> None:
    run = start()
    up = run.wait_up()
    assert sorted(event["instance"] for event in up) == ["0", "0", "1"]
    first = int(environment["METRICS_BASE_PORT"])
    assert sorted(int(event["metrics_port"]) for event in up) == [first, first + 1, first + 2]
    banner = "\n".join(run.lines)
    assert f"nats://127.0.0.1:{environment['NATS_PORT']}" in banner
    family = run.family()
    run.process.send_signal(signal.SIGTERM)
    assert run.wait_exit() == 0
    assert len(run.events("drained")) == 3
    assert not living(family)
    assert not run.events("killed_after_deadline")


def test_password_of_the_database_is_not_shown(start: Start, environment: dict[str, str]) -> None:
    run = start()
    run.wait_up()
    pgpass = Path(environment["DATA_DIR"], "postgres", "pgpass")
    password = pgpass.read_text().strip().rpartition(":")[2]
    assert pgpass.stat().st_mode & 0o077 == 0
    assert all(password not in line for line in run.lines)


def test_restarts_a_killed_service_and_says_so(start: Start) -> None:
    run = start()
    alpha = next(event for event in run.wait_up() if event["starts"])
    os.kill(alpha["pid"], signal.SIGKILL)
    died = wait_for("the death in the log", lambda: run.events("child_died"))
    assert died[0]["exit"] == "killed by SIGKILL"
    wait_for("a fourth start", lambda: any(event["starts"] == 4 for event in run.events("up")))


@pytest.mark.parametrize("server", ["nats-server", "postgres"])
def test_restarts_a_killed_server(start: Start, server: str) -> None:
    run = start()
    run.wait_up()
    pid = next(pid for pid in run.family() if _runs(pid, server))
    os.kill(pid, signal.SIGKILL)
    wait_for("the death in the log", lambda: run.events("child_died"))
    again = wait_for("a new server", lambda: [p for p in run.family() if _runs(p, server) and p != pid])
    assert again
    run.process.terminate()
    assert run.wait_exit() == 0


def test_kill_9_leaves_no_orphan_and_yesterdays_data(start: Start, environment: dict[str, str]) -> None:
    run = start()
    run.wait_up()
    with _busy_backend(environment):
        family = run.family()
        assert len(family) > 10, "servers, backends, dummies, their helpers and the guardian"
        run.process.kill()
        run.process.wait()
        wait_for("none of its processes lives", lambda: not living(family), within_s=3)
    again = start()
    assert sorted(event["starts"] for event in again.wait_up()) == [4, 5, 6]


def test_starts_at_once_after_kill_9(start: Start) -> None:
    run = start()
    run.wait_up()
    run.process.kill()
    run.process.wait()
    assert sorted(event["starts"] for event in start().wait_up()) == [4, 5, 6]


def test_a_killed_guardian_is_replaced_and_works(start: Start) -> None:
    run = start()
    run.wait_up()
    guard = next(pid for pid in run.family() if _runs(pid, "guardian.py"))
    os.kill(guard, signal.SIGKILL)
    wait_for("a new guardian", lambda: [p for p in run.family() if _runs(p, "guardian.py") and p != guard])
    family = run.family()
    run.process.kill()
    run.process.wait()
    wait_for("none of its processes lives", lambda: not living(family), within_s=3)


def test_ctrl_c_hits_the_supervisor_only_and_the_second_forces(start: Start) -> None:
    run = start(DUMMY="stubborn")
    run.wait_up()
    family = run.family()
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
    wait_for("it stops", lambda: run.events("stopping"))
    assert not run.events("interrupted")
    wait_for("the debounce is over", lambda: _interrupt_until_forced(run))
    assert run.wait_exit(within_s=4) == 0
    assert not living(family)


def test_a_stubborn_service_is_killed_after_the_deadline(start: Start) -> None:
    run = start(DUMMY="stubborn", SHUTDOWN_TIMEOUT_S="0.2")
    run.wait_up()
    run.process.terminate()
    assert run.wait_exit() == 0
    assert len(run.events("killed_after_deadline")) == 3


def test_a_wrong_setting_of_a_service_stops_the_start(start: Start) -> None:
    run = start(DUMMY="wrong")
    assert run.wait_exit() == EX_CONFIG
    assert any(line.startswith("tapestream: ") and "DUMMY=wrong: use right" in line for line in run.lines)


def test_a_wrong_setting_is_one_line(start: Start) -> None:
    run = start(METRICS_BASE_PORT="many")
    assert run.wait_exit() == EX_CONFIG
    assert len(run.lines) == 1
    assert "METRICS_BASE_PORT=many" in run.lines[0]


@pytest.mark.parametrize("setting", ["NATS_PORT", "POSTGRES_PORT", "METRICS_BASE_PORT"])
def test_a_taken_port_is_one_line(start: Start, environment: dict[str, str], setting: str) -> None:
    with socket.create_server(("127.0.0.1", int(environment[setting]))):
        run = start()
        assert run.wait_exit() == EX_CONFIG
    assert len(run.lines) == 1
    assert setting in run.lines[0]


def test_a_second_run_on_the_same_data_is_refused(start: Start) -> None:
    run = start()
    run.wait_up()
    second = start()
    assert second.wait_exit() == EX_CONFIG
    assert len(second.lines) == 1
    assert f"process {run.process.pid}" in second.lines[0]


def test_somebody_elses_folder_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    run = start(DATA_DIR=str(tmp_path / "photos"))
    assert run.wait_exit() == EX_CONFIG
    assert len(run.lines) == 1
    assert "holds other files" in run.lines[0]


def test_a_reader_that_goes_away_stops_it(start: Start) -> None:
    run = start()
    run.wait_up()
    family = run.family()
    run.hangs_up = True  # with the next line
    wait_for("it stops", lambda: _provoke(run, family))
    assert not living(family)


def _provoke(run: Run, family: dict[int, str]) -> bool:
    for pid in living(family):
        if _runs(pid, "-m service"):
            os.kill(pid, signal.SIGKILL)
    return run.process.poll() is not None


def _interrupt_until_forced(run: Run) -> bool:
    if run.process.poll() is None:
        run.process.send_signal(signal.SIGINT)
    return bool(run.events("forced"))


def _runs(pid: int, what: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return False
    return what in command and "launch.py" not in command and not command.startswith("postgres:")


def _busy_backend(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A session in the middle of a long query."""
    folder = Path(environment["DATA_DIR"], "postgres")
    password = (folder / "pgpass").read_text().strip().rpartition(":")[2]
    url = f"postgresql://tapestream:{password}@127.0.0.1:{environment['POSTGRES_PORT']}/tapestream"
    from tapestream.common.supervisor.embedded.postgres import binaries  # noqa: PLC0415

    query = "SELECT count(*) FROM generate_series(1, 100000000000)"
    client = subprocess.Popen(
        [str(binaries() / "psql"), url, "-c", query], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with psycopg.connect(url, autocommit=True) as watcher:
        wait_for(
            "the query runs",
            lambda: watcher.execute(
                "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = %s", [query]
            ).fetchone(),
        )
    return client
