"""The system against the production images of its servers, where a Docker engine answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from testcontainers.core.container import DockerContainer

from tests.support.chaos import WAITING, Schedule, assert_exact, generated_tape, play
from tests.support.stack import running_stack

SPEED = 28
USER = "tapestream"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """Settings that name a NATS and a Postgres in containers of their own."""
    need_engine()
    nats = DockerContainer("nats:2.12").with_command("-js").with_exposed_ports(4222)
    postgres = DockerContainer("postgres:18").with_exposed_ports(5432)
    for name in ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"):
        postgres = postgres.with_env(name, USER)
    with nats, postgres:
        yield {
            "NATS_URL": f"nats://{address(nats, 4222)}",
            "DATABASE_URL": f"postgresql://{USER}:{USER}@{address(postgres, 5432)}/{USER}",
        }


def need_engine() -> None:
    """Skip where no Docker engine listens."""
    engine = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    try:
        if engine.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(engine.path)
        else:
            socket.create_connection((engine.hostname, engine.port), 5).close()
    except OSError as error:
        pytest.skip(f"no Docker engine at {engine.geturl()}: {error}")


def address(container: DockerContainer, port: int) -> str:
    return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"


@pytest.mark.integration
def test_a_tape_with_trouble_is_exact_on_the_production_images(
    tmp_path: Path, servers: dict[str, str]
) -> None:
    tape = generated_tape(tmp_path, seed=31, minutes=5)
    schedule = Schedule(31, killed=("ingest", "bars", "recorder", "gateway"))
    with running_stack(tmp_path, TAPE=str(tape), SPEED=str(SPEED), **WAITING, **servers) as stack:
        play(schedule, stack, tape, SPEED)
        assert_exact(stack, tape)
