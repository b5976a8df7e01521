"""Rows as CSV or Parquet, chunk by chunk."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tapestream.common.contracts.messages import Bar
from tapestream.gateway.core.columns import Float64, Int64, TradeColumns
from tapestream.gateway.core.frames import KIND_NAMES

_TIME = pa.timestamp("us", tz="UTC")
TICKS = pa.schema(
    [
        ("id", pa.int64()),
        ("ts", _TIME),
        ("price", pa.float64()),
        ("qty", pa.float64()),
        ("side", pa.string()),
        ("kind", pa.string()),
    ]
)
BARS = pa.schema(
    [
        ("ts", _TIME),
        *(
            (name, pa.float64())
            for name in ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume")
        ),
        ("trades", pa.int64()),
        ("complete", pa.bool_()),
        ("rev", pa.int64()),
        ("source", pa.string()),
    ]
)
QUOTES = pa.schema(
    [
        ("id", pa.int64()),
        ("ts", _TIME),
        ("bid", pa.float64()),
        ("bid_qty", pa.float64()),
        ("ask", pa.float64()),
        ("ask_qty", pa.float64()),
    ]
)
_SIDES = np.array(["buy", "sell"], dtype=object)
_KINDS = np.full(128, "OTHER", dtype=object)
for _number, _name in KIND_NAMES.items():
    _KINDS[_number] = _name


def tick_table(columns: TradeColumns) -> pa.Table:
    """Trades; times to the microsecond."""
    return pa.table(
        [
            pa.array(columns.id),
            _times(columns.ts_ns),
            pa.array(columns.price),
            pa.array(columns.qty),
            pa.array(_SIDES[columns.buyer_maker.astype(np.intp)], pa.string()),
            pa.array(_KINDS[columns.kind.astype(np.intp) & 127], pa.string()),
        ],
        schema=TICKS,
    )


def bar_table(bars: Sequence[Bar]) -> pa.Table:
    """Bars by their start."""
    columns: dict[str, object] = {
        name: [getattr(bar, name) for bar in bars] for name in BARS.names if name not in ("ts", "source")
    }
    columns["ts"] = _times(np.array([bar.ts_ns for bar in bars], np.int64))
    columns["source"] = [str(bar.source) for bar in bars]
    return pa.table([columns[name] for name in BARS.names], schema=BARS)


def quote_table(ids: Int64, ts_ns: Int64, values: Sequence[Float64]) -> pa.Table:
    """Best bids and asks; ``values`` are bid, bid_qty, ask, ask_qty."""
    return pa.table([pa.array(ids), _times(ts_ns), *(pa.array(one) for one in values)], schema=QUOTES)


def _times(ts_ns: Int64) -> pa.Array:
    return pa.array(ts_ns // 1000).cast(pa.timestamp("us")).cast(_TIME)


class CsvWriter:
    """Text with a header line; times are ISO 8601 with ``Z``."""

    def __init__(self, schema: pa.Schema) -> None:
        self._header = (",".join(schema.names) + "\n").encode()

    def begin(self) -> bytes:
        return self._header

    def rows(self, table: pa.Table) -> bytes:
        place = table.schema.get_field_index("ts")
        # %S has the fraction of the column's unit
        text = pc.strftime(table.column(place), format="%Y-%m-%dT%H:%M:%SZ")  # pyright: ignore[reportAttributeAccessIssue]
        sink = io.BytesIO()
        # no value of ours holds a comma or a quote
        options = pacsv.WriteOptions(include_header=False, quoting_style="none")
        pacsv.write_csv(table.set_column(place, "ts", text), sink, options)
        return sink.getvalue()

    def end(self) -> bytes:
        return b""


class ParquetWriter:
    """One row group a chunk."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sink = _Drain()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")

    def begin(self) -> bytes:
        return self._sink.take()

    def rows(self, table: pa.Table) -> bytes:
        self._writer.write_table(table)
        return self._sink.take()

    def end(self) -> bytes:
        self._writer.close()
        return self._sink.take()


class _Drain(io.RawIOBase):
    """A file that keeps only what was not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        part = bytes(data)  # type: ignore[arg-type]  # pyarrow hands its own buffers over
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
