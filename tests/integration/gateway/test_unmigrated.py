"""A database that is there before its tables are."""

from __future__ import annotations

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from tapestream.common.supervisor.embedded import EmbeddedPostgres
from tests.integration.gateway.conftest import MakeGateway

pytestmark = pytest.mark.integration


async def test_what_is_not_migrated_yet_is_tried_again(
    make_gateway: MakeGateway, postgres: EmbeddedPostgres, symbol: str
) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute("CREATE DATABASE unmigrated")
    url = sa.make_url(postgres.url).set(database="unmigrated").render_as_string(hide_password=False)
    gateway = make_gateway(database=True, DATABASE_URL=url)
    await (await gateway.start()).memory_ready()
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        problem = await client.get(f"/export?symbol={symbol}&kind=quotes")
    assert problem.status_code == 503
    assert problem.headers["retry-after"] == "1"
    assert "not migrated yet" in problem.json()["detail"]
