"""A recorder that notes a message as done before its rows are committed."""

from __future__ import annotations

import asyncio

from tapestream.common.process import run_process
from tapestream.common.recording.writer import TableWriter
from tapestream.ingest.recorder.app import SERVICE, run
from tapestream.ingest.recorder.settings import RecorderSettings


async def _commit(self, connection, flush, outcome, last):
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = on")
        await self._projection.advance(connection, last.offset)
    await asyncio.sleep(0.3)
    async with connection.transaction():
        await self._table.write(connection, flush, outcome)


if __name__ == "__main__":
    TableWriter._commit = _commit  # type: ignore[method-assign]
    run_process(SERVICE, RecorderSettings, run)
