"""How far a projection has come: written with its rows, in one transaction.

The offset in the database is the only truth about what was applied. A consumer's position on the
server is a convenience: after a crash the projection starts again right behind its offset.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import AsyncConnection

from tapestream.common.bus.offset import Offset
from tapestream.common.db.locks import lock_key


@dataclass(frozen=True, slots=True)
class Projection:
    """One writer's view of one stream."""

    name: str
    stream: str

    async def take(self, connection: AsyncConnection) -> bool:
        """Become the one writer for as long as this connection lives; False where there is another."""
        cursor = await connection.execute(
            "SELECT pg_try_advisory_lock(%s)", [lock_key("projection", self.name, self.stream)]
        )
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def offset(self, connection: AsyncConnection) -> Offset | None:
        """The last message applied; None before the first."""
        cursor = await connection.execute(
            "SELECT seq, stored_ns FROM projection_offsets WHERE projection = %s AND stream = %s",
            [self.name, self.stream],
        )
        row = await cursor.fetchone()
        return Offset(*row) if row else None

    async def advance(self, connection: AsyncConnection, offset: Offset) -> None:
        """Note the last message applied; call it in the transaction that writes the rows."""
        await connection.execute(
            """INSERT INTO projection_offsets (projection, stream, seq, stored_ns) VALUES (%s, %s, %s, %s)
               ON CONFLICT (projection, stream)
               DO UPDATE SET seq = excluded.seq, stored_ns = excluded.stored_ns""",
            [self.name, self.stream, offset.seq, offset.stored_ns],
        )
