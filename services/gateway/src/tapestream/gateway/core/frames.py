"""Data frames as JSON bytes, built once however many clients get them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tapestream.common.contracts.messages import Bar, Gap, QuoteBatch, TradeKind
from tapestream.gateway.core.columns import TradeColumns
from tapestream.gateway.core.times import iso_utc

_json = msgspec.json.Encoder()
KIND_NAMES = {int(kind): kind.name for kind in TradeKind}


def to_json(value: Any) -> bytes:
    """JSON bytes of a plain value."""
    return _json.encode(value)


def trade_payload(
    frame_type: str,
    symbol_json: str,
    trade_id: int,
    ts_ns: int,
    price: float,
    qty: float,
    buyer_maker: bool,
    kind: str,
    seq: int,
) -> bytes:
    """One trade. ``symbol_json`` comes quoted; numbers are written as ``repr`` does: shortest and exact."""
    side = "sell" if buyer_maker else "buy"
    return (
        f'{{"type":"{frame_type}","symbol":{symbol_json},"price":{price!r},"qty":{qty!r},'
        f'"ts":"{iso_utc(ts_ns)}","id":{trade_id},"side":"{side}","kind":"{kind}","seq":{seq}}}'
    ).encode()


def trade_payloads(frame_type: str, symbol: str, columns: TradeColumns) -> list[bytes]:
    """Payloads of trades that come from memory or history."""
    symbol_json = to_json(symbol).decode()
    return [
        trade_payload(frame_type, symbol_json, i, t, p, q, m, KIND_NAMES.get(k, "OTHER"), s)
        for i, t, p, q, m, k, s in zip(
            columns.id.tolist(),
            columns.ts_ns.tolist(),
            columns.price.tolist(),
            columns.qty.tolist(),
            columns.buyer_maker.tolist(),
            columns.kind.tolist(),
            columns.seq.tolist(),
            strict=True,
        )
    ]


def quote_payloads(symbol: str, batch: QuoteBatch, first: int, seqs: Sequence[int]) -> list[bytes]:
    """Payloads of the quotes of a batch from row ``first`` on."""
    return [
        to_json(
            {
                "type": "quote",
                "symbol": symbol,
                "bid": batch.bid[row],
                "bid_qty": batch.bid_qty[row],
                "ask": batch.ask[row],
                "ask_qty": batch.ask_qty[row],
                "ts": iso_utc(batch.ts_ns[row]),
                "id": batch.id[row],
                "seq": seqs[row - first],
            }
        )
        for row in range(first, len(batch.id))
    ]


def bar_values(bar: Bar) -> dict[str, Any]:
    """A bar as it is shown outside, without symbol and timeframe."""
    return {
        "ts": iso_utc(bar.ts_ns),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "quote_volume": bar.quote_volume,
        "buy_volume": bar.buy_volume,
        "trades": bar.trades,
        "complete": bar.complete,
        "rev": bar.rev,
        "source": str(bar.source),
    }


def bar_payload(frame_type: str, symbol: str, bar: Bar, seq: int) -> bytes:
    """One state of a bar."""
    head = {"type": frame_type, "symbol": symbol, "timeframe": bar.timeframe}
    return to_json(head | bar_values(bar) | {"seq": seq})


def gap_payload(symbol: str, gap: Gap, seq: int) -> bytes:
    """A hole in the trade ids and what became of it."""
    return to_json(
        {
            "type": "gap",
            "symbol": symbol,
            "from_id": gap.from_id,
            "to_id": gap.to_id,
            "from_ts": iso_utc(gap.from_ts_ns) if gap.from_ts_ns else None,
            "to_ts": iso_utc(gap.to_ts_ns) if gap.to_ts_ns else None,
            "reason": str(gap.reason),
            "seq": seq,
        }
    )


def batch_payload(items: Sequence[bytes]) -> bytes:
    """Several payloads as one ``batch`` frame."""
    return b'{"type":"batch","items":[' + b",".join(items) + b"]}"


def binary_batch_payload(items: Sequence[bytes]) -> bytes:
    """The msgpack twin of :func:`batch_payload`."""
    # {"type": "batch", "items": [ array 32 header, then the items as they are
    return b"\x82\xa4type\xa5batch\xa5items\xdd" + len(items).to_bytes(4, "big") + b"".join(items)


def to_msgpack(payload: bytes) -> bytes:
    """The same content as a JSON payload, in msgpack."""
    return msgspec.msgpack.encode(msgspec.json.decode(payload))
