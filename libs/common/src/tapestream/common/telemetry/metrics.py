"""Prometheus figures that several processes share; units are in the names."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

LATENCY_BUCKETS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip

_published = Counter("tapestream_published_messages_total", "Messages sent to a stream", ["stream"])
_bytes = Counter("tapestream_published_bytes_total", "Payload bytes sent to a stream", ["stream"])
_acknowledged = Counter(
    "tapestream_acknowledged_messages_total", "Messages a stream acknowledged", ["stream"]
)
_duplicates = Counter("tapestream_publish_duplicates_total", "Messages that a stream already had", ["stream"])
_refused = Counter("tapestream_publish_refused_total", "Messages that a stream refused", ["stream"])
_resent = Counter("tapestream_publish_resent_total", "Messages sent again after a fault", ["stream"])
_skipped = Counter(
    "tapestream_publish_skipped_total", "Messages not sent, because the stream held them", ["stream"]
)
_ack_seconds = Histogram(
    "tapestream_publish_ack_seconds", "From sending to acknowledgement", ["stream"], buckets=LATENCY_BUCKETS_S
)


class PublisherMetrics:
    """The figures of one publisher."""

    def __init__(self, stream: str) -> None:
        self.published = _published.labels(stream)
        self.bytes = _bytes.labels(stream)
        self.acknowledged = _acknowledged.labels(stream)
        self.duplicates = _duplicates.labels(stream)
        self.refused = _refused.labels(stream)
        self.resent = _resent.labels(stream)
        self.skipped = _skipped.labels(stream)
        self.ack_seconds = _ack_seconds.labels(stream)
