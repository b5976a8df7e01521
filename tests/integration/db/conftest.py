"""A real Postgres, with a database of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from tapestream.common.supervisor.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> str:
    name = f"t{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return f"{postgres.url.rpartition('/')[0]}/{name}"
