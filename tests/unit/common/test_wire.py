"""The bare connection reads the protocol however the socket cuts it."""

from __future__ import annotations

import asyncio
import random

import pytest

from tapestream.common.bus.wire import Delivery, Wire, make_head, read_headers

HEAD = make_head({"Tape-Ordinal": "7", "Nats-Msg-Id": "a:b:7"})


def message(number: int, rng: random.Random) -> tuple[bytes, Delivery]:
    """A message of any form, as bytes and as what it means."""
    data = rng.choice([b"", b"\r\n", b"MSG a 1 3\r\nabc", rng.randbytes(rng.randrange(3000))])
    reply = rng.choice(["", f"$JS.ACK.S.c.1.{number}.{number}.1.0"])
    head = rng.choice([b"", HEAD, b"NATS/1.0 404 No Messages\r\n\r\n"])
    words = ["HMSG" if head else "MSG", f"md.trade.x.{number}", "1", *([reply] if reply else [])]
    sizes = [str(len(head))] if head else []
    line = " ".join([*words, *sizes, str(len(head) + len(data))]).encode()
    return line + b"\r\n" + head + data + b"\r\n", Delivery(words[1], reply, head, data)


@pytest.mark.parametrize("seed", range(25))
def test_messages_survive_any_cut(seed: int) -> None:
    rng = random.Random(seed)
    sent, meant = zip(*(message(number, rng) for number in range(60)), strict=True)
    noise = [b"PING\r\n", b"+OK\r\n", b'INFO {"server_id":"x"}\r\n', b"PONG\r\n", b""]
    stream = b"".join(part + rng.choice(noise) for part in sent)

    async def feed() -> list[Delivery]:
        wire, got = Wire(lambda: None), []
        wire.subscribe("md.>", got.append)
        at = 0
        while at < len(stream):
            size = rng.choice([1, 2, 3, 50, 1000, 20_000])
            wire.data_received(stream[at : at + size])
            at += size
        return got

    assert asyncio.run(feed()) == list(meant)


def test_what_nobody_subscribed_to_is_passed_over() -> None:
    async def feed() -> list[Delivery]:
        wire, got = Wire(lambda: None), []
        wire.subscribe("a", got.append)
        wire.data_received(b"MSG b 2 1\r\nx\r\nMSG a 1 1\r\ny\r\n")
        return got

    assert [one.data for one in asyncio.run(feed())] == [b"y"]


def test_headers_are_read_as_they_were_made() -> None:
    headers = {"Tape-Ordinal": "12", "traceparent": "00-ab-cd-01", "Empty": ""}
    assert read_headers(make_head(headers)) == headers
    assert read_headers(b"") == {}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"NATS/1.0 404 No Messages\r\n\r\n", ("404", "No Messages")),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 4\r\n\r\n", ("100", "Idle Heartbeat")),
        (b"NATS/1.0 503\r\n\r\n", ("503", "")),
        (HEAD, ("", "")),
        (b"", ("", "")),
    ],
)
def test_status_of_a_message(head: bytes, status: tuple[str, str]) -> None:
    assert Delivery("s", "", head, b"").status == status
