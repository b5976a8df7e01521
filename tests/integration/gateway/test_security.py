"""Who is let in."""

from __future__ import annotations

import httpx
import pytest
import websockets

from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import Feeder
from tests.integration.gateway.running import Listener, RunningGateway

pytestmark = pytest.mark.integration
EVIL = "http://evil.example"


@pytest.fixture
async def client(gateway: RunningGateway):
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        yield client


async def test_foreign_host_is_refused_on_loopback(client: httpx.AsyncClient) -> None:
    answer = await client.get("/symbols", headers={"Host": "evil.example:8000"})

    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/symbols", headers={"Host": "localhost:1"})).status_code == 200


async def test_foreign_origin_may_not_change_anything(client: httpx.AsyncClient) -> None:
    body = {"symbols": ["BTCUSDT"]}
    refused = await client.post("/stream/start", json=body, headers={"Origin": EVIL})
    assert refused.status_code == 403
    null = await client.post("/stream/start", json=body, headers={"Origin": "null"})
    assert null.status_code == 403
    for origin in ("http://localhost:3000", str(client.base_url).rstrip("/")):
        allowed = await client.post("/stream/start", json=body, headers={"Origin": origin})
        assert allowed.status_code == 200
    preflight = await client.options(
        "/stream/start", headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    )
    assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"


async def test_foreign_origin_gets_no_websocket(gateway: RunningGateway) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(gateway.ws_url, origin=websockets.Origin(EVIL))
    assert refused.value.response.status_code == 403
    listener = await Listener.open(gateway.ws_url, origin=websockets.Origin("http://localhost:3000"))
    await listener.close()


async def test_a_token_guards_everything_but_health_and_documents(
    make_gateway: MakeGateway, feeder: Feeder
) -> None:
    gateway = await (await make_gateway(API_TOKEN="s3cret-token").start()).memory_ready()
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        for path in ("/symbols", "/api/v1/symbols", "/api/symbols", "/metrics", "/", "/healthy", "/docs2"):
            answer = await client.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in (
            "/health",
            "/health/live",
            "/health/",
            "/docs",
            "/redoc/",
            "/api/docs",
            "/api/v1/openapi.json",
        ):
            assert (await client.get(path)).is_success
        for headers in ({"Authorization": "Bearer s3cret-token"}, {"X-API-Key": "s3cret-token"}):
            assert (await client.get("/symbols", headers=headers)).status_code == 200
        wrong = {"Authorization": "Bearer s3cret"}
        assert (await client.get("/symbols", headers=wrong)).status_code == 401
        assert (await client.get("/symbols?token=s3cret-token")).status_code == 401
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(gateway.ws_url)
    assert refused.value.response.status_code == 401
    listener = await Listener.open(f"{gateway.ws_url}?token=s3cret-token")
    await listener.close()
    assert "s3cret" not in gateway.log.read_text()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"HOST": "0.0.0.0"}, ("HOST", "API_TOKEN")),
        ({"PORT": "99999"}, ("PORT", "99999", "65535")),
        ({"TICK_BUFFER_SIZE": "many"}, ("TICK_BUFFER_SIZE", "many", "integer")),
        ({"CORS_ORIGINS": "localhost"}, ("CORS_ORIGINS", "http://host:port")),
        ({"MAX_LATENCY_MS": "-1"}, ("MAX_LATENCY_MS", "greater than 0")),
    ],
)
async def test_wrong_settings_stop_the_start(
    make_gateway: MakeGateway, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    gateway = make_gateway(**environment).spawn()

    assert gateway.wait(15) == 78
    said = gateway.log.read_text()
    assert all(word in said for word in words), said


async def test_a_taken_port_is_named(make_gateway: MakeGateway) -> None:
    import socket  # noqa: PLC0415

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gateway = make_gateway(port).spawn()
        assert gateway.wait(15) == 78
        assert f"PORT={port + 1}" in gateway.log.read_text()
