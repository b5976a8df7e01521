"""What a database error means for the one who sees it."""

from __future__ import annotations

import psycopg

_PASSING_CLASSES = ("08", "53", "55", "57", "58", "40")
"""Connection, resources, object not ready (a lock), operator intervention, system error, rollback."""

_READ_ONLY = "25006"
"""A standby that is about to become the primary."""
_REFUSALS = ("password authentication failed", "does not exist", "no pg_hba.conf entry")
"""A failed connection has no SQLSTATE in psycopg; the server's words must do."""


def is_passing(error: BaseException) -> bool:
    """True where trying again later can help: server away, restarting, out of disk or of memory."""
    if isinstance(error, OSError):
        return True
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is not None:
        return error.sqlstate.startswith(_PASSING_CLASSES) or error.sqlstate == _READ_ONLY
    if any(words in str(error) for words in _REFUSALS):
        return False
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def describe(error: BaseException) -> str:
    """One line without connection strings, for health and logs."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.diag.message_primary} ({error.sqlstate})"
    return (str(error) or repr(error)).strip().splitlines()[0]
