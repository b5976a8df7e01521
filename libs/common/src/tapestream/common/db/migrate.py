"""Bringing the database to the newest form, at the start of any process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from tapestream.common.backoff import full_jitter
from tapestream.common.db import locks
from tapestream.common.db.faults import describe, is_passing
from tapestream.common.db.url import sqlalchemy_url

log = structlog.get_logger(__name__)

_one_at_a_time = threading.Lock()
"""Alembic keeps the running migration in module globals; other processes are held by Postgres."""


def migrate(database_url: str, *, give_up_after_s: float = 60.0) -> None:
    """Run the migrations that are missing, all in one transaction, under a lock across processes.

    Blocks: call it in a thread from async code. Starting several processes at once is fine. Waits
    for a server that is not up yet; raises sqlalchemy.exc.DBAPIError when it stays away longer than
    ``give_up_after_s`` seconds or when a migration fails, and SettingsError for a wrong URL.
    """
    engine = sa.create_engine(sqlalchemy_url(database_url), poolclass=sa.NullPool)
    deadline = time.monotonic() + give_up_after_s
    for delay_s in full_jitter(0.2, 5.0):
        try:
            _upgrade(engine)
        except DBAPIError as error:
            cause = error.orig or error
            if not is_passing(cause) or time.monotonic() + delay_s > deadline:
                raise
            log.warning("migrate_retry", error=describe(cause))
            time.sleep(delay_s)
        else:
            return


def _upgrade(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with _one_at_a_time, engine.begin() as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": locks.MIGRATE})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
