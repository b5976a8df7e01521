"""Asking a venue over REST: refusals, pauses and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import REGISTRY

from tapestream.ingest.rest import RestError, VenueRest


def serve(answers: list[tuple[str, str]], use: Callable[[VenueRest], Awaitable[None]], venue: str) -> None:
    """Run ``use`` against a server that gives these status lines and headers in turn."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, headers = answers.pop(0)
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n{headers}\r\n{{}}".encode()
        )
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rest = VenueRest(venue, f"http://127.0.0.1:{port}", "", 2400)
        await use(rest)
        await rest.close()
        server.close()

    asyncio.run(run())


def count(venue: str, status: str) -> float:
    labels = {"venue": venue, "endpoint": "trades", "status": status}
    return REGISTRY.get_sample_value("tapestream_venue_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("status", "header"), [("429 Slow", "3"), ("418 Banned", "120"), ("429 Slow", "soon")]
)
def test_a_pause_that_the_venue_asks_for_is_kept(status: str, header: str) -> None:
    async def use(rest: VenueRest) -> None:
        with pytest.raises(RestError) as caught:
            await rest.get("/x/trades", {}, 1)
        assert caught.value.worth_retrying
        assert rest._budget.barred(rest._budget._at) >= (10.0 if header == "soon" else float(header))

    serve([(status, f"Retry-After: {header}\r\n")], use, "pauses")


def test_weight_that_others_used_is_taken_into_account() -> None:
    async def use(rest: VenueRest) -> None:
        assert await rest.get("/x/trades", {}, 1) == b"{}"
        assert rest._budget.spend(20, rest._budget._at) > 0

    serve([("200 OK", "X-MBX-USED-WEIGHT-1M: 2399\r\n")], use, "others")
    assert count("others", "200") == 1


def test_requests_are_counted_also_without_an_answer() -> None:
    async def use(rest: VenueRest) -> None:
        with pytest.raises(RestError):
            await rest.get("/x/trades", {}, 1)

    serve([("503 Away", "")], use, "counted")
    assert count("counted", "503") == 1

    async def nobody() -> None:
        rest = VenueRest("nobody", "http://127.0.0.1:1", "", 2400)
        with pytest.raises(RestError) as caught:
            await rest.get("/x/trades", {}, 1)
        assert caught.value.status == 0

    asyncio.run(nobody())
    assert count("nobody", "no_answer") == 1
