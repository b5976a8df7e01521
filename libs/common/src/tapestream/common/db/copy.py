"""numpy rows as the bytes of ``COPY … FROM STDIN (FORMAT binary)``.

In the format each row is a field count, then for each field its length and its bytes, all big
endian (Postgres documentation, "COPY", Binary Format). A packed record type has exactly these
bytes: the lengths are filled once and numpy swaps the values' bytes while they are assigned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import sql

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: where Postgres counts ``timestamptz`` from."""

_BINARY: Mapping[str, str] = {
    "bool": "?",
    "int2": ">i2",
    "int4": ">i4",
    "int8": ">i8",
    "float4": ">f4",
    "float8": ">f8",
    "timestamptz": ">i8",
}

Rows = npt.NDArray[np.void]


class CopyFormat:
    """The binary form of rows of fixed-size columns that are never null."""

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        """``columns``: (name, Postgres type). Raises KeyError for a type without fixed size."""
        fields: list[tuple[str, str]] = [("_fields", ">i2")]
        for name, kind in columns:
            fields += [(f"_length_{name}", ">i4"), (name, _BINARY[kind])]
        self.columns = tuple(name for name, _ in columns)
        self.dtype = np.dtype(fields)
        self._blank = np.zeros(1, self.dtype)
        self._blank["_fields"] = len(columns)
        for name in self.columns:
            self._blank[f"_length_{name}"] = self.dtype[name].itemsize

    def rows(self, count: int) -> Rows:
        """``count`` rows with their lengths set and all values to be assigned by column name.

        A ``timestamptz`` column takes :func:`timestamptz` numbers.
        """
        return np.repeat(self._blank, count)

    def payload(self, rows: Rows) -> bytes:
        """Everything that is sent for these rows."""
        return b"".join((HEADER, rows.data if rows.flags.c_contiguous else rows.tobytes(), TRAILER))

    def statement(self, table: str) -> sql.Composed:
        """``COPY table (columns…) FROM STDIN (FORMAT binary)``."""
        return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, self.columns))
        )


def timestamptz(ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970 as Postgres' microseconds since 2000, rounded down."""
    return ts_ns // 1000 - _POSTGRES_EPOCH_US


async def copy_rows(connection: Any, table: str, form: CopyFormat, rows: Rows) -> None:
    """COPY rows into a table inside the connection's transaction. Raises psycopg.Error."""
    async with connection.cursor() as cursor, cursor.copy(form.statement(table)) as copy:
        await copy.write(form.payload(rows))
