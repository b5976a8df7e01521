"""Run by alembic. The connection, its transaction and its lock come from ``db.migrate``."""

from alembic import context
from sqlmodel import SQLModel

from tapestream.common.db import alert_tables as _alerts  # noqa: F401 - fills the metadata
from tapestream.common.db import tables as _tables  # noqa: F401

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
with context.begin_transaction():
    context.run_migrations()
