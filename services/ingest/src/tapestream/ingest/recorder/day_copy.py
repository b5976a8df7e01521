"""COPY into the day partitions of one table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from psycopg import AsyncConnection

from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.common.db.copy import CopyFormat, Rows, copy_rows
from tapestream.common.db.counts import add_rows
from tapestream.common.db.partitions import day_of, ensure_partition, list_partitions, partition_name


class DayCopy:
    """Writes rows to the partitions of their days, which it makes before they are needed."""

    def __init__(self, table: str, form: CopyFormat) -> None:
        self._table, self._form = table, form
        self._known: set[str] = set()

    async def load(self, connection: AsyncConnection) -> None:
        """Forget what is known of the partitions: retention may have dropped some."""
        self._known = set(await list_partitions(connection, self._table))

    async def ensure(self, connection: AsyncConnection, ts_ns: npt.NDArray[np.int64]) -> None:
        """Have a partition for every instant. The connection must not be in a transaction."""
        for day in _days(ts_ns):
            if partition_name(self._table, day) not in self._known:
                self._known.add(await ensure_partition(connection, self._table, day))

    async def write(self, connection: AsyncConnection, rows: Rows, ts_ns: npt.NDArray[np.int64]) -> None:
        """COPY rows, each to the day of its instant, and count them, inside the caller's transaction."""
        counts: dict[tuple[int, int], int] = {}
        days = _days(ts_ns)
        of_row = ts_ns // DAY_NS if len(days) > 1 else None
        for day in days:
            part = rows if of_row is None else rows[of_row == day]
            await copy_rows(connection, partition_name(self._table, day), self._form, part)
            of_instrument = np.bincount(part["instrument_id"])
            for instrument_id in np.flatnonzero(of_instrument).tolist():
                counts[day, instrument_id] = int(of_instrument[instrument_id])
        await add_rows(connection, self._table, counts)


def _days(ts_ns: npt.NDArray[np.int64]) -> list[int]:
    if not len(ts_ns):
        return []
    first, last = day_of(int(ts_ns.min())), day_of(int(ts_ns.max()))
    return [first] if first == last else np.unique(ts_ns // DAY_NS).tolist()
