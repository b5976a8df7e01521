"""A venue that sends trades as fast as its reader takes them, or at a fixed rate.

``python -m tests.bench.venue WS_PORT REST_PORT COUNT RATE FIRST [TIMES]``: waits for a subscription
to trades of ``S0USDT … S9USDT``, sends COUNT of them (one a frame, each symbol's ids from FIRST on,
RATE a second in all, 0 for no limit) and keeps the socket open. Each symbol's price goes up and down again by
``price_at``, from the bottom on. The trade's ``T`` is the wall clock
in milliseconds; with TIMES, a file of int64, the monotonic clock in nanoseconds at which each was
sent is written there, in the order of sending.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import sys
import threading
import time

import numpy as np
import picows
import uvloop

SYMBOLS = [f"S{i}USDT" for i in range(10)]
PERIOD = 1000
"""Trades of one symbol until its price is where it was."""
BOTTOM, STEP = 34_000.0, 0.5
FRAMES = [
    b'{"stream":"%s@trade","data":{"e":"trade","E":%%d,"T":%%d,"s":"%s","t":%%d,"p":"%%.2f",'
    b'"q":"0.123","X":"MARKET","m":true}}' % (s.lower().encode(), s.encode())
    for s in SYMBOLS
]


def price_at(number: int) -> float:
    """Price of a symbol's trade of this number, from 0."""
    at = number % PERIOD
    return BOTTOM + STEP * min(at, PERIOD - at)


PRICES = [price_at(number) for number in range(PERIOD)]


class Listener(picows.WSListener):
    def __init__(self, count: int, rate: float, first: int, times: np.ndarray | None) -> None:
        self._count, self._rate, self._first, self._times = count, rate, first, times
        self._room = asyncio.Event()
        self._room.set()
        self._pumping: asyncio.Task[None] | None = None

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is not picows.WSMsgType.TEXT:
            return
        request = json.loads(frame.get_payload_as_bytes())
        transport.send(picows.WSMsgType.TEXT, b'{"result":null,"id":%d}' % request["id"])
        if request["method"] == "SUBSCRIBE" and request["params"][0].endswith("@trade") and not self._pumping:
            self._pumping = asyncio.get_running_loop().create_task(self._pump(transport))

    async def _pump(self, transport: picows.WSTransport) -> None:
        start = time.perf_counter()
        text = picows.WSMsgType.TEXT
        for i in range(self._count):
            if self._rate:
                # Asleep, not looking at the clock: that would take one core of two from what is measured,
                # and the loop's own timers count whole milliseconds.
                early = start + i / self._rate - time.perf_counter()
                if early > 0:
                    time.sleep(early)  # noqa: ASYNC251 - nothing else is to happen meanwhile
                    await asyncio.sleep(0)
            if i % 200 == 0 or self._rate:
                now_ms = int(time.time() * 1000)
            if self._times is not None:
                self._times[i] = time.perf_counter_ns()
            number = i // 10
            frame = FRAMES[i % 10] % (now_ms, now_ms, number + self._first, PRICES[number % PERIOD])
            transport.send(text, frame)
            if i % 200 == 0:
                await self._room.wait()
                await asyncio.sleep(0)


class Rest(http.server.BaseHTTPRequestHandler):
    """As much of the REST API as a start needs."""

    def do_GET(self) -> None:
        body: object = []
        if "exchangeInfo" in self.path:
            filters = [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "stepSize": "0.001"},
            ]
            body = {
                "symbols": [
                    {
                        "symbol": s,
                        "status": "TRADING",
                        "baseAsset": s[:2],
                        "quoteAsset": "USDT",
                        "contractType": "PERPETUAL",
                        "filters": filters,
                    }
                    for s in SYMBOLS
                ]
            }
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def main(ws_port: int, rest_port: int, count: int, rate: float, first: int, times_file: str = "") -> None:
    times = np.memmap(times_file, np.int64, "r+", shape=(count,)) if times_file else None
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", rest_port), Rest)
    threading.Thread(target=rest.serve_forever, daemon=True).start()

    async def serve() -> None:
        server = await picows.ws_create_server(
            lambda _: Listener(count, rate, first, times), "127.0.0.1", ws_port
        )
        await server.serve_forever()

    uvloop.run(serve())


if __name__ == "__main__":
    ports, count, rate, first = sys.argv[1:3], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
    main(int(ports[0]), int(ports[1]), count, rate, first, *sys.argv[6:])
