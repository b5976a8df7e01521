"""Every documented operation, with made-up input: no crash, and answers as documented."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.schemas import APIOperation

from tapestream.common.contracts.subjects import Subjects
from tapestream.common.db.migrate import migrate
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.embedded.postgres import FAST
from tapestream.common.telemetry.health import Health
from tapestream.gateway.app import create_app
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.settings import GatewaySettings
from tests.integration.gateway.feeder import START_NS, Feeder
from tests.integration.gateway.recorded import Recorded
from tests.integration.gateway.running import RunningGateway
from tests.support.api_cases import Prober, cases
from tests.support.service import running_service

pytestmark = pytest.mark.integration
EXAMPLES = 40
"""A run stays under half a minute."""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("contract")
    with (
        EmbeddedNats(folder / "nats") as nats,
        EmbeddedPostgres(folder / "postgres", options=FAST) as postgres,
    ):
        migrate(postgres.url)
        gateway = RunningGateway(
            folder,
            NATS_URL=nats.url,
            DATABASE_URL=postgres.url,
            STREAM_STORE_BYTES=str(256 << 20),
            TICK_BUFFER_SIZE="100",
        )
        others = {
            "NATS_URL": nats.url,
            "DATABASE_URL": postgres.url,
            "STREAM_STORE_BYTES": str(256 << 20),
        }
        try:
            asyncio.run(_prepare(nats, postgres, gateway))
            with running_service("alerts", **others), running_service("analytics", **others):
                yield gateway
        finally:
            gateway.stop()


async def _prepare(nats: EmbeddedNats, postgres: EmbeddedPostgres, gateway: RunningGateway) -> None:
    feeder = await Feeder.connect(nats.url)
    await feeder.list_instruments()
    for _ in range(10):
        feeder.trades("BTCUSDT", 50)
    bars = [feeder.bar("BTCUSDT", START_NS + n * 60_000_000_000, 101.0) for n in range(5)]
    others = [feeder.bar("ETHUSDT", START_NS + n * 60_000_000_000, 50.0 + n) for n in range(5)]
    await feeder.drained()
    recorded = Recorded(postgres.url)
    await recorded.trades("BTCUSDT", range(1, 451))
    await recorded.bars("BTCUSDT", bars)
    await recorded.bars("ETHUSDT", others)
    await recorded.gap("BTCUSDT", 5, 9, "lost")
    await (await gateway.start()).memory_ready()
    await feeder.close()


def operations() -> list[APIOperation]:
    """Every operation of the document, which needs no server to be made; last the one that deletes."""
    subjects = Subjects()
    app = create_app(Gateway.build(GatewaySettings(_env_file=None), subjects, Health()))
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = [found.ok() for found in schema.get_all_operations()]
    return sorted(found, key=lambda one: one.path.endswith("/cleanup"))


@pytest.mark.parametrize("operation", operations(), ids=lambda one: one.label)
def test_no_operation_crashes_or_surprises(operation: APIOperation, api: RunningGateway) -> None:
    with Prober(api.url) as probe:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases(operation))
        def check(case: schemathesis.Case) -> None:
            probe(case)

        check()
    assert probe.asked


def test_the_document_names_every_route_of_the_live_data(api: RunningGateway) -> None:
    paths = httpx.get(f"{api.url}/openapi.json").json()["paths"]

    assert paths.keys() >= {
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/health/detailed",
        "/health/db",
        "/health/nats",
        "/health/services",
        "/health/metrics",
        "/metrics",
        "/api/v1/symbols",
        "/api/v1/instruments",
        "/api/v1/stream/start",
        "/api/v1/stream/stop",
        "/api/v1/stream/status",
        "/api/v1/data/stats",
        "/api/v1/data/{symbol}",
        "/api/v1/data/{symbol}/ticks",
        "/api/v1/export",
        "/api/v1/database/stats",
        "/api/v1/database/ticks/{symbol}",
        "/api/v1/database/ohlcv",
        "/api/v1/database/export",
        "/api/v1/database/cleanup",
        "/api/v1/database/gaps",
        "/api/v1/database/backfill",
        "/api/v1/analytics/pair",
        "/api/v1/analytics/adf",
        "/api/v1/analytics/radar",
        "/api/v1/signals",
        "/api/v1/alerts",
        "/api/v1/alerts/history",
        "/api/v1/alerts/test",
        "/api/v1/alerts/{rule_id}",
        "/api/v1/alerts/{rule_id}/history",
        "/api/v1/alerts/{rule_id}/test",
    }
    assert not [
        path for path in paths if path.startswith(("/symbols", "/stream", "/data", "/database", "/alerts"))
    ]
