"""Migrations: from many sides at once, and the tables that they make."""

from __future__ import annotations

import asyncio
import logging
import sys

import psycopg
import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from tapestream.common.db import alert_tables, tables
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
    assert alert_tables.AlertRule.__tablename__ in SQLModel.metadata.tables
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


def test_rows_that_are_there_already_are_counted(database_url: str) -> None:
    migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE day_counts, bar_counts")
        connection.execute("DROP TABLE signals, alert_rules, alert_events, alert_deliveries")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        for table in ("trades", "quotes"):
            connection.execute(f"CREATE TABLE {table}_x PARTITION OF {table} DEFAULT")  # type: ignore[arg-type]
        connection.execute(
            "INSERT INTO trades SELECT 1 + n % 2, n, '2024-08-08 23:59:57Z'::timestamptz + n * '1 s'::interval, "
            "1, 1, true, 0 FROM generate_series(1, 6) n"
        )
        connection.execute("INSERT INTO quotes VALUES (7, 1, '2024-08-08 12:00Z', 1, 1, 1, 1)")
        connection.execute(
            "INSERT INTO bars SELECT 1, '1s', now() + n * '1 s'::interval, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 'trades' "
            "FROM generate_series(1, 4) n"
        )
        migrate(database_url)
        days = connection.execute(
            "SELECT table_name, day::text, instrument_id, rows FROM day_counts ORDER BY 1, 2, 3"
        )
        assert days.fetchall() == [
            ("quotes", "2024-08-08", 7, 1),
            ("trades", "2024-08-08", 1, 1),
            ("trades", "2024-08-08", 2, 1),
            ("trades", "2024-08-09", 1, 2),
            ("trades", "2024-08-09", 2, 2),
        ]
        assert connection.execute("SELECT * FROM bar_counts").fetchall() == [(1, "1s", 4)]


def test_a_wrong_password_is_told_at_once(database_url: str) -> None:
    head, _, tail = database_url.partition("@")
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        migrate(f"{head}x@{tail}", give_up_after_s=60)
