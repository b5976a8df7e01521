"""The gateway's Prometheus figures; units are in the names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from tapestream.common.telemetry.metrics import LATENCY_BUCKETS_S

REQUEST_SECONDS = Histogram(
    "tapestream_http_request_seconds",
    "From the request's head to the last byte of the answer",
    ["method", "route", "status"],
    buckets=LATENCY_BUCKETS_S,
)
TICK_SECONDS = Histogram(
    "tapestream_gateway_tick_seconds",
    "From a trade's reception by ingest to its hand-over to the sockets",
    buckets=LATENCY_BUCKETS_S,
)
TRADES = Counter("tapestream_gateway_trades_total", "Trades read from the stream")
BARS = Counter("tapestream_gateway_bars_total", "Bar states read from the stream")
OVERTAKEN = Counter(
    "tapestream_gateway_overtaken_total", "Times that the stream dropped trades before they were read"
)
UNREADABLE = Counter(
    "tapestream_gateway_unreadable_messages_total",
    "Times that a message read back from a stream was passed over because it could not be understood",
)
CLIENTS = Gauge("tapestream_ws_clients", "Connected WebSocket clients")
CUT = Counter("tapestream_ws_cut_clients_total", "Clients that were cut", ["reason"])
FLUSH_SECONDS = Histogram(
    "tapestream_ws_flush_seconds",
    "Writing to all clients that have something waiting",
    buckets=LATENCY_BUCKETS_S,
)
RING_TRADES = Gauge("tapestream_gateway_ring_trades", "Trades held in memory", ["symbol"])
RING_BARS = Gauge("tapestream_gateway_ring_bars", "Bars held in memory", ["symbol", "timeframe"])
POOL_CONNECTIONS = Gauge("tapestream_gateway_database_connections", "Connections to Postgres", ["state"])
