"""Messages read back from the streams; one that is no such message is passed over."""

from __future__ import annotations

import msgspec
import structlog

from tapestream.common.contracts.messages import Bar, TradeBatch, decoder
from tapestream.gateway import metrics

log = structlog.get_logger(__name__)

_decode_trades = decoder(TradeBatch).decode
_decode_bar = decoder(Bar).decode


def readable_trades(data: bytes, subject: str, stream_seq: int) -> TradeBatch | None:
    """A batch with at least one trade and columns of one length; None where it is none."""
    try:
        batch = _decode_trades(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _skipped(subject, stream_seq, str(error))
    columns: list[list[int] | list[float] | list[bool] | list[str]]
    columns = [batch.ts_ns, batch.price, batch.qty, batch.buyer_maker]
    if not isinstance(batch.kind, msgspec.UnsetType):
        columns.append(batch.kind)
    if not batch.id or any(len(column) != len(batch.id) for column in columns):
        return _skipped(subject, stream_seq, "no trades, or columns of several lengths")
    return batch


def readable_bar(data: bytes, subject: str, stream_seq: int) -> Bar | None:
    """A bar; None where it is none."""
    try:
        return _decode_bar(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _skipped(subject, stream_seq, str(error))


def _skipped(subject: str, stream_seq: int, problem: str) -> None:
    metrics.UNREADABLE.inc()
    log.warning("unreadable_message_skipped", subject=subject, stream_seq=stream_seq, problem=problem)
