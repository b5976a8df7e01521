"""Clients of the gateway for measurements: ``python -m tests.bench.clients PORT CLIENTS COUNT RATE_MS TIMES FIRST``.

Each subscribes to the trades of all ten symbols. With RATE_MS they ask for conflation at that
interval and read until they are ended; without, they read COUNT trades and print one JSON line with
the latencies from the venue's socket write to the frame in hand, over all clients.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import numpy as np
import picows
import uvloop

from tests.bench.running import SYMBOLS

SYMBOL_DIGIT = len(b'{"type":"trade","symbol":"S')
"""Where the digit of ``S0USDT`` … ``S9USDT`` stands in a frame."""


class Client(picows.WSListener):
    def __init__(self, count: int, interval_ms: int, times: np.ndarray | None, first: int) -> None:
        self._left, self._interval_ms, self._times, self._first = count, interval_ms, times, first
        self.latencies: list[int] = []
        self.done = asyncio.Event()
        self.subscribed = asyncio.Event()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        message: dict[str, object] = {"action": "subscribe", "channels": [f"trades:{s}" for s in SYMBOLS]}
        if self._interval_ms:
            message["interval_ms"] = self._interval_ms
        transport.send(picows.WSMsgType.TEXT, json.dumps(message).encode())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:  # noqa: ARG002
        payload = frame.get_payload_as_bytes()
        if not payload.startswith(b'{"type":"trade"'):
            if b'"subscription"' in payload[:40]:
                self.subscribed.set()
            return
        if self._times is None:
            return
        now = time.perf_counter_ns()
        # fifty clients in one process must not be what is measured: no JSON parser here
        id_at = payload.index(b'"id":') + 5
        trade_id = int(payload[id_at : payload.index(b",", id_at)])
        at = (trade_id - self._first) * 10 + payload[SYMBOL_DIGIT] - 48
        if at < 0:
            return
        self.latencies.append(now - int(self._times[at]))
        self._left -= 1
        if not self._left:
            self.done.set()


async def main(port: int, clients: int, count: int, interval_ms: int, times_file: str, first: int) -> None:
    times = np.memmap(times_file, np.int64, "r", shape=(count,)) if times_file else None
    listeners: list[Client] = []
    for _ in range(clients):
        _, listener = await picows.ws_connect(
            lambda: Client(count, interval_ms, times, first), f"ws://127.0.0.1:{port}/ws"
        )
        assert isinstance(listener, Client)
        listeners.append(listener)
    for listener in listeners:
        await listener.subscribed.wait()
    print("subscribed", flush=True)
    for listener in listeners:
        await listener.done.wait()
    # the first fifth warms up, as in the floor
    merged = np.sort(np.concatenate([np.array(li.latencies[count // 5 :]) for li in listeners])) / 1e6
    print(
        json.dumps(
            {
                "frames": len(merged),
                "p50_ms": round(float(np.percentile(merged, 50)), 3),
                "p99_ms": round(float(np.percentile(merged, 99)), 3),
                "max_ms": round(float(merged[-1]), 3),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    port, clients, count, interval_ms = map(int, sys.argv[1:5])
    uvloop.run(main(port, clients, count, interval_ms, sys.argv[5], int(sys.argv[6])))
