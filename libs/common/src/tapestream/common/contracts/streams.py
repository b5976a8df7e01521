"""The streams: which subjects they hold, for how long, and what they do when full."""

from __future__ import annotations

from dataclasses import dataclass

from nats.js.api import (
    DiscardPolicy,
    PersistMode,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from tapestream.common.contracts.subjects import Subjects

DAY_S = 86_400
DISK_SHARE = 0.8
"""Streams together may take this share of the store; the rest is for buckets and snapshots."""


@dataclass(frozen=True)
class StreamPlan:
    """One stream, before its size in bytes is known."""

    name: str
    subjects: tuple[str, ...]
    share: float
    """Part of ``DISK_SHARE`` of the store that it may take."""
    max_age_s: int
    discard: DiscardPolicy = DiscardPolicy.OLD
    retention: RetentionPolicy = RetentionPolicy.LIMITS
    persist: PersistMode | None = PersistMode.ASYNC
    """Async answers before the disk has it: a publisher must resume after a server's crash."""

    def config(self, subjects: Subjects, store_bytes: int) -> StreamConfig:
        return StreamConfig(
            name=subjects.stream(self.name),
            subjects=list(self.subjects),
            retention=self.retention,
            discard=self.discard,
            storage=StorageType.FILE,
            max_age=self.max_age_s,
            max_bytes=int(store_bytes * DISK_SHARE * self.share),
            max_msg_size=512 * 1024,
            duplicate_window=120,
            allow_direct=True,
            persist_mode=self.persist,
        )


MARKET = "MARKET"
BARS = "BARS"
SIGNALS = "SIGNALS"
ALERTS = "ALERTS"
DLQ = "DLQ"

BUCKET_FEEDS = "feeds"
BUCKET_INSTRUMENTS = "instruments"
BUCKET_SNAPSHOTS = "snapshots"
BUCKET_WATCHES = "watches"


def stream_plans(subjects: Subjects) -> tuple[StreamPlan, ...]:
    """Every stream of the system. The shares add up to at most 1, which the tests check."""
    return (
        StreamPlan(
            MARKET,
            (
                subjects.market("trade"),
                subjects.market("backfill"),
                subjects.market("quote"),
                subjects.market("kline"),
                subjects.market("clock"),
            ),
            share=0.6,
            max_age_s=2 * DAY_S,
        ),
        StreamPlan(
            BARS,
            (subjects.market("bar"), subjects.market("gap")),
            share=0.15,
            max_age_s=7 * DAY_S,
        ),
        StreamPlan(SIGNALS, (subjects.all_signals(),), share=0.1, max_age_s=7 * DAY_S),
        # async as the data streams are: a firing that a crashed server forgot is sent, or found, again
        StreamPlan(ALERTS, (subjects.all_alerts(),), share=0.05, max_age_s=30 * DAY_S),
        StreamPlan(DLQ, (subjects.all_dead_letters(),), share=0.05, max_age_s=30 * DAY_S, persist=None),
    )
