"""The forms in which DATABASE_URL may be written."""

from __future__ import annotations

import re

from tapestream.common.errors import SettingsError

_SCHEME = re.compile(r"(?:postgresql|postgres)(?:\+[a-z0-9_]+)?://")


def libpq_url(url: str) -> str:
    """``postgresql://…``, as psycopg takes it.

    ``postgres://``, ``postgresql+psycopg://`` and ``postgresql+asyncpg://`` mean the same here.
    Raises SettingsError for anything else.
    """
    match = _SCHEME.match(url)
    if not match:
        raise SettingsError(
            f"DATABASE_URL={url.partition('://')[0]}://…: write postgresql://user:password@host:port/database"
        )
    return "postgresql://" + url[match.end() :]


def sqlalchemy_url(url: str) -> str:
    """``postgresql+psycopg://…``, as SQLAlchemy takes it. Raises SettingsError like :func:`libpq_url`."""
    return "postgresql+psycopg" + libpq_url(url).removeprefix("postgresql")
