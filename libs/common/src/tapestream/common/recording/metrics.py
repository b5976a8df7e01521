"""Figures of those who record. For each table: received = recorded + duplicates + refused + returned + held."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from tapestream.common.telemetry.metrics import LATENCY_BUCKETS_S

_received = Counter("tapestream_recorder_received_rows_total", "Rows read from the stream", ["table"])
_recorded = Counter("tapestream_recorder_recorded_rows_total", "Rows committed", ["table"])
_duplicates = Counter(
    "tapestream_recorder_duplicate_rows_total", "Rows that were recorded already, or superseded", ["table"]
)
_refused = Counter(
    "tapestream_recorder_refused_rows_total", "Rows moved to the dead letters", ["table", "reason"]
)
_refused_batches = Counter(
    "tapestream_recorder_refused_batches_total", "Messages moved to the dead letters", ["table", "reason"]
)
_returned = Counter(
    "tapestream_recorder_returned_rows_total",
    "Rows given back by a failed flush, to be read again",
    ["table"],
)
_batches = Counter("tapestream_recorder_batches_total", "Messages committed", ["table"])
_bytes = Counter("tapestream_recorder_payload_bytes_total", "Payload bytes committed", ["table"])
_commit_seconds = Histogram(
    "tapestream_recorder_commit_seconds",
    "From taking messages to their commit",
    ["table"],
    buckets=LATENCY_BUCKETS_S,
)
_lag_seconds = Gauge(
    "tapestream_recorder_lag_seconds",
    "From receipt of the oldest batch of the last flush to its commit",
    ["table"],
)


class TableMetrics:
    """The figures of one table."""

    def __init__(self, table: str) -> None:
        self._table = table
        self.received = _received.labels(table)
        self.recorded = _recorded.labels(table)
        self.duplicates = _duplicates.labels(table)
        self.returned = _returned.labels(table)
        self.batches = _batches.labels(table)
        self.bytes = _bytes.labels(table)
        self.commit_seconds = _commit_seconds.labels(table)
        self.lag_seconds = _lag_seconds.labels(table)

    def refuse(self, reason: str, rows: int) -> None:
        _refused.labels(self._table, reason).inc(rows)
        _refused_batches.labels(self._table, reason).inc()

    def figures(self) -> dict[str, float]:
        """For the heartbeat."""
        return {
            f"{self._table}_recorded_rows": _value(self.recorded),
            f"{self._table}_lag_s": _value(self.lag_seconds),
        }


def _value(metric: Counter | Gauge) -> float:
    return next(sample.value for family in metric.collect() for sample in family.samples)
