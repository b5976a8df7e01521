"""Kills and outages: nothing lost, nothing twice, and health told the truth meanwhile."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tapestream.common.bus.provision import provision
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres

pytestmark = pytest.mark.integration
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


async def test_killed_recorder_with_rows_in_flight(rig: Any) -> None:
    publishing = asyncio.create_task(rig.publish_many(SYMBOLS, 300))
    for _ in range(3):
        recorder = rig.start_recorder()
        before = len(await rig.recorded_ids("BTCUSDT"))
        while len(await rig.recorded_ids("BTCUSDT")) <= before and not publishing.done():
            await asyncio.sleep(0.01)
        recorder.kill()
        recorder.wait()
    await publishing
    rig.start_recorder()
    for symbol in SYMBOLS:
        await rig.expect_ids(symbol, list(range(1, 12001)))
        assert await rig.gaps(symbol) == []


async def test_two_recorders_one_writes_the_other_takes_over(rig: Any) -> None:
    first = rig.start_recorder()
    await rig.publish_many(SYMBOLS, 5)
    await rig.expect_ids("BTCUSDT", list(range(1, 201)))
    rig.start_recorder()
    await rig.publish_many(SYMBOLS, 20)
    first.kill()
    first.wait()
    await rig.publish_many(SYMBOLS, 5)
    for symbol in SYMBOLS:
        await rig.expect_ids(symbol, list(range(1, 1201)))


async def test_killed_postgres(new_rig: Any, domain: Any, nats_server: EmbeddedNats, tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres") as postgres:
        rig = await new_rig(nats_server, postgres)
        try:
            rig.start_recorder()
            publishing = asyncio.create_task(rig.publish_many(SYMBOLS, 400))
            while not await rig.recorded_ids("BTCUSDT"):
                await asyncio.sleep(0.01)
            postgres.kill()

            async def says_so() -> bool:
                status, body = await rig.health()
                return status == 503 and json.loads(body)["components"]["database"] != "ok"

            await domain.eventually("health names the database", says_so)
            await publishing
            await asyncio.to_thread(postgres.start)
            for symbol in SYMBOLS:
                await rig.expect_ids(symbol, list(range(1, 16001)))
                assert await rig.gaps(symbol) == []

            async def ready() -> bool:
                return (await rig.health())[0] == 200

            await domain.eventually("ready again", ready)
            await rig.expect_balance()
        finally:
            rig.stop_all()
            await rig.bus.close()


async def test_killed_nats_forgets_its_last_messages(
    new_rig: Any, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    """The stream starts over with the same sequences; what is recorded stays, what is new comes."""
    with EmbeddedNats(tmp_path / "nats") as server:
        rig = await new_rig(server, postgres)
        try:
            rig.start_recorder()
            await rig.publish_many(SYMBOLS, 50)
            for symbol in SYMBOLS:
                await rig.expect_ids(symbol, list(range(1, 2001)))
            server.kill()
            await asyncio.to_thread(server.start)
            await rig.bus.connected.wait()
            await rig.bus.js.purge_stream(rig.subjects.stream("MARKET"))
            await rig.bus.js.delete_stream(rig.subjects.stream("MARKET"))
            await provision(rig.bus, 64 << 20)
            await rig.publish_many(SYMBOLS, 60)
            for symbol in SYMBOLS:
                await rig.expect_ids(symbol, list(range(1, 4401)))
                assert await rig.gaps(symbol) == []
        finally:
            rig.stop_all()
            await rig.bus.close()
