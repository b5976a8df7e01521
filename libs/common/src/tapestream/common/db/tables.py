"""The tables of market history, which the recorder alone writes, and of signals, which analytics does.

Everybody else reads.

``trades`` and ``quotes`` are partitioned by UTC day on ``ts``. The migrations in ``migrations``
make the tables; a test keeps both alike.
"""

# SQLAlchemy declares __tablename__ as something that only its mypy plug-in sees as a string.
# pyright: reportAssignmentType=false

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel


def _column(type_: type | DateTime, *, primary_key: bool = False, nullable: bool = False) -> Column:
    return Column(type_, primary_key=primary_key, nullable=nullable, autoincrement=False)


def _ts(*, primary_key: bool = False, nullable: bool = False) -> Column:
    return _column(DateTime(timezone=True), primary_key=primary_key, nullable=nullable)


class Instrument(SQLModel, table=True):
    """What has been streamed. A step of 0 means that it is not known yet."""

    __tablename__ = "instruments"
    __table_args__ = (UniqueConstraint("venue", "symbol"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, Identity(always=False), primary_key=True))
    venue: str = Field(sa_column=_column(Text))
    symbol: str = Field(sa_column=_column(Text))
    kind: str = Field(sa_column=_column(Text))
    currency: str = Field(sa_column=_column(Text))
    base: str = Field(sa_column=_column(Text))
    price_step: float = Field(sa_column=_column(Double))
    qty_step: float = Field(sa_column=_column(Double))
    multiplier: float = Field(sa_column=_column(Double))
    session: str = Field(sa_column=_column(Text))
    contract_id: int | None = Field(default=None, sa_column=_column(BigInteger, nullable=True))


class Trade(SQLModel, table=True):
    """One trade. ``kind`` is a number of ``contracts.messages.TradeKind``; only 0 makes bars."""

    __tablename__ = "trades"
    __table_args__ = (
        Index("trades_ts_brin", "ts", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (ts)"},
    )

    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    id: int = Field(sa_column=_column(BigInteger, primary_key=True))
    ts: datetime = Field(sa_column=_ts(primary_key=True))
    price: float = Field(sa_column=_column(Double))
    qty: float = Field(sa_column=_column(Double))
    buyer_maker: bool
    kind: int = Field(sa_column=_column(SmallInteger))


class TradeHead(SQLModel, table=True):
    """The newest trade of an instrument that was recorded from the live stream.

    It is what live batches are trimmed by. ``max(trades.id)`` would not do: backfilled trades may
    lie ahead of it, and retention drops old ones.
    """

    __tablename__ = "trade_heads"

    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    id: int = Field(sa_column=_column(BigInteger))
    ts: datetime = Field(sa_column=_ts())


class Quote(SQLModel, table=True):
    """Best bid and ask. No key: the stream offset and ``quote_heads`` keep each update once."""

    __tablename__ = "quotes"
    __table_args__ = (
        Index("quotes_ts_brin", "ts", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (ts)"},
    )
    # SQLAlchemy wants a key to map by; the database has none.
    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    id: int = Field(sa_column=_column(BigInteger, primary_key=True))
    ts: datetime = Field(sa_column=_ts())
    bid: float = Field(sa_column=_column(Double))
    bid_qty: float = Field(sa_column=_column(Double))
    ask: float = Field(sa_column=_column(Double))
    ask_qty: float = Field(sa_column=_column(Double))


class QuoteHead(SQLModel, table=True):
    """The newest quote of an instrument that was recorded."""

    __tablename__ = "quote_heads"

    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    id: int = Field(sa_column=_column(BigInteger))
    ts: datetime = Field(sa_column=_ts())


class Bar(SQLModel, table=True):
    """One complete bar; ``ts`` is the start of its interval, ``source`` is ``trades`` or ``venue``."""

    __tablename__ = "bars"

    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    timeframe: str = Field(sa_column=_column(Text, primary_key=True))
    ts: datetime = Field(sa_column=_ts(primary_key=True))
    open: float = Field(sa_column=_column(Double))
    high: float = Field(sa_column=_column(Double))
    low: float = Field(sa_column=_column(Double))
    close: float = Field(sa_column=_column(Double))
    volume: float = Field(sa_column=_column(Double))
    quote_volume: float = Field(sa_column=_column(Double))
    buy_volume: float = Field(sa_column=_column(Double))
    trades: int = Field(sa_column=_column(BigInteger))
    first_id: int = Field(sa_column=_column(BigInteger))
    last_id: int = Field(sa_column=_column(BigInteger))
    rev: int = Field(sa_column=_column(Integer))
    source: str = Field(sa_column=_column(Text))


class DayCount(SQLModel, table=True):
    """Rows of ``trades`` or ``quotes`` by UTC day and instrument, written with the rows: always exact."""

    __tablename__ = "day_counts"

    table_name: str = Field(sa_column=_column(Text, primary_key=True))
    day: date = Field(sa_column=_column(Date, primary_key=True))
    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    rows: int = Field(sa_column=_column(BigInteger))


class BarCount(SQLModel, table=True):
    """Rows of ``bars`` by series, written with the rows: always exact."""

    __tablename__ = "bar_counts"

    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    timeframe: str = Field(sa_column=_column(Text, primary_key=True))
    rows: int = Field(sa_column=_column(BigInteger))


class Gap(SQLModel, table=True):
    """A range of trade ids, both ends included; ranges of one instrument do not overlap."""

    __tablename__ = "gaps"

    instrument_id: int = Field(sa_column=_column(Integer, primary_key=True))
    from_id: int = Field(sa_column=_column(BigInteger, primary_key=True))
    to_id: int = Field(sa_column=_column(BigInteger))
    from_ts: datetime | None = Field(default=None, sa_column=_ts(nullable=True))
    to_ts: datetime | None = Field(default=None, sa_column=_ts(nullable=True))
    reason: str = Field(sa_column=_column(Text))
    detected_at: datetime = Field(sa_column=_ts())


class PairSignalRow(SQLModel, table=True):
    """Figures of a pair at one complete bar, written by analytics; of two revisions the higher one."""

    __tablename__ = "signals"
    __table_args__ = (Index("signals_ts", "ts", "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=False), nullable=False))
    venue_a: str = Field(sa_column=_column(Text, primary_key=True))
    symbol_a: str = Field(sa_column=_column(Text, primary_key=True))
    venue_b: str = Field(sa_column=_column(Text, primary_key=True))
    symbol_b: str = Field(sa_column=_column(Text, primary_key=True))
    timeframe: str = Field(sa_column=_column(Text, primary_key=True))
    window_bars: int = Field(sa_column=_column(Integer, primary_key=True))
    method: str = Field(sa_column=_column(Text, primary_key=True))
    ts: datetime = Field(sa_column=_ts(primary_key=True))
    price_a: float = Field(sa_column=_column(Double))
    price_b: float = Field(sa_column=_column(Double))
    hedge_ratio: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    intercept: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    spread: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    zscore: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    correlation: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    adf_statistic: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    adf_pvalue: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    half_life_bars: float | None = Field(default=None, sa_column=_column(Double, nullable=True))
    reason: str = Field(sa_column=_column(Text))
    rev: int = Field(sa_column=_column(Integer))


class ProjectionOffset(SQLModel, table=True):
    """How far a projection has come in a stream, written with its rows."""

    __tablename__ = "projection_offsets"

    projection: str = Field(sa_column=_column(Text, primary_key=True))
    stream: str = Field(sa_column=_column(Text, primary_key=True))
    seq: int = Field(sa_column=_column(BigInteger))
    stored_ns: int = Field(sa_column=_column(BigInteger))
    """When the stream stored the message at ``seq``: a stream that was made anew, or whose server
    forgot its last messages in a crash, has another message there."""
