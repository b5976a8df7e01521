"""Migrations: from many sides at once, and the tables that they make."""

from __future__ import annotations

import asyncio
import logging
import sys

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from tapestream.common.db import tables
from tapestream.common.db.migrate import migrate
from tapestream.common.db.url import sqlalchemy_url

pytestmark = pytest.mark.integration


async def test_threads_and_processes_migrate_at_once(database_url: str) -> None:
    code = "import sys; from tapestream.common.db.migrate import migrate; migrate(sys.argv[1])"
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", code, database_url) for _ in range(2)
    ]
    handlers = list(logging.getLogger().handlers)
    await asyncio.gather(*(asyncio.to_thread(migrate, database_url) for _ in range(4)))
    assert [await asyncio.wait_for(process.wait(), 60) for process in processes] == [0, 0]
    assert logging.getLogger().handlers == handlers
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    migrate(database_url)


def test_tables_are_as_the_models_say(database_url: str) -> None:
    migrate(database_url.replace("postgresql://", "postgresql+asyncpg://"))
    engine = sa.create_engine(sqlalchemy_url(database_url), poolclass=sa.NullPool)
    inspector = sa.inspect(engine)
    for table in SQLModel.metadata.sorted_tables:
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert list(found) == [column.name for column in table.columns], table.name
        for column in table.columns:
            kind = found[column.name]["type"].compile(engine.dialect)
            assert kind == column.type.compile(engine.dialect), f"{table.name}.{column.name}"
            assert found[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"
        if table.name != tables.Quote.__tablename__:
            key = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key], table.name


def test_a_wrong_password_is_told_at_once(database_url: str) -> None:
    head, _, tail = database_url.partition("@")
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        migrate(f"{head}x@{tail}", give_up_after_s=60)
