"""The tables of alerts. Their one writer is the alerts service.

``alert_rules`` is what people decided, and the truth; ``alert_events`` tells what the stream of firings
told, and ``alert_deliveries`` what became of notifying.
"""

# SQLAlchemy declares __tablename__ as something that only its mypy plug-in sees as a string.
# pyright: reportAssignmentType=false

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Double, Identity, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


def _column(type_: Any, *, primary_key: bool = False, nullable: bool = False) -> Column:
    return Column(type_, primary_key=primary_key, nullable=nullable, autoincrement=False)


class AlertRule(SQLModel, table=True):
    """One rule. ``spec`` is a ``RuleSpec`` of the contracts, secrets in its channels included."""

    __tablename__ = "alert_rules"

    id: int | None = Field(default=None, sa_column=Column(Integer, Identity(always=True), primary_key=True))
    version: int
    name: str = Field(sa_column=_column(Text))
    spec: dict[str, Any] = Field(sa_column=_column(JSONB))
    since_ns: int = Field(sa_column=_column(BigInteger))
    created_at: datetime = Field(sa_column=_column(DateTime(timezone=True)))
    trigger_count: int = Field(sa_column=_column(BigInteger))
    """Rows of ``alert_events``, over all versions."""
    version_count: int = Field(sa_column=_column(BigInteger))
    """Those of the present version."""
    last_triggered: datetime | None = Field(sa_column=_column(DateTime(timezone=True), nullable=True))
    last_value: float | None = Field(sa_column=_column(Double, nullable=True))


class AlertEvent(SQLModel, table=True):
    """One firing. Its rule may have been changed or deleted since."""

    __tablename__ = "alert_events"

    id: int = Field(sa_column=_column(BigInteger, primary_key=True))
    rule_id: int
    version: int
    ordinal: int
    ts: datetime = Field(sa_column=_column(DateTime(timezone=True)))
    ts_ns: int = Field(sa_column=_column(BigInteger))
    """The same instant, exactly."""
    severity: str = Field(sa_column=_column(Text))
    name: str = Field(sa_column=_column(Text))
    message: str = Field(sa_column=_column(Text))
    metric: str = Field(sa_column=_column(Text))
    instruments: str = Field(sa_column=_column(Text))
    op: str = Field(sa_column=_column(Text))
    actual_value: float | None = Field(sa_column=_column(Double, nullable=True))
    threshold_value: float = Field(sa_column=_column(Double))
    conditions: list[dict[str, Any]] = Field(sa_column=_column(JSONB))


class AlertDelivery(SQLModel, table=True):
    """Notifying one channel of one firing. ``state`` is waiting, delivered or failed."""

    __tablename__ = "alert_deliveries"

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    event_id: int = Field(sa_column=_column(BigInteger))
    url: str = Field(sa_column=_column(Text))
    """With its secrets."""
    state: str = Field(sa_column=_column(Text))
    attempts: int
    created_at: datetime = Field(sa_column=_column(DateTime(timezone=True)))
    next_attempt_at: datetime | None = Field(sa_column=_column(DateTime(timezone=True), nullable=True))
    delivered_at: datetime | None = Field(sa_column=_column(DateTime(timezone=True), nullable=True))
    last_error: str = Field(sa_column=_column(Text))
