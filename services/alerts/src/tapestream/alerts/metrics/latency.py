"""How late trades arrive: from their event time to their receipt by this host."""

from tapestream.alerts.core.metric import Metric, Source
from tapestream.common.contracts.messages import TradeBatch


def _read(batch: TradeBatch) -> float:
    return (batch.recv_ns - batch.ts_ns[0]) / 1e6


METRIC = Metric(
    "latency",
    Source.BATCH,
    "milliseconds",
    "from a trade's event time to its receipt",
    _read,
    in_history=False,
)
