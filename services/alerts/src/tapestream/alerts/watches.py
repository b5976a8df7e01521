"""Which pairs the rules need: declared in a bucket, computed by analytics."""

from __future__ import annotations

from collections.abc import Iterable

import nats.errors
import structlog

from tapestream.alerts.core.metric import Source
from tapestream.alerts.registry import all_metrics
from tapestream.common.bus.buckets import key_subject
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.alerts import RuleSpec
from tapestream.common.contracts.messages import encode
from tapestream.common.contracts.signals import PairWatch, PairWatches
from tapestream.common.contracts.streams import BUCKET_WATCHES

log = structlog.get_logger(__name__)

OWNER = "alerts"


class Watches:
    """What this owner wants watched."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._wanted: PairWatches | None = None
        self._written: PairWatches | None = None

    async def declare(self, specs: Iterable[RuleSpec]) -> None:
        """Say what these rules need; where NATS is away now it is said by :meth:`retry`."""
        self._wanted = PairWatches(watches=wanted(specs))
        await self.retry()

    async def retry(self) -> None:
        """Say it again where it was not heard."""
        if self._wanted is None or self._wanted == self._written:
            return
        wish = self._wanted
        try:
            await self._bus.js.publish(key_subject(self._bus, BUCKET_WATCHES, OWNER), encode(wish))
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.warning("watches_not_declared", error=repr(error))
        else:
            self._written = wish


def wanted(specs: Iterable[RuleSpec]) -> list[PairWatch]:
    """The pairs that some rules need, each once."""
    found: dict[PairWatch, None] = {}
    for spec in specs:
        for one in spec.conditions:
            if all_metrics()[one.metric].source is Source.PAIR:
                a, b = one.of.split(",")
                watch = PairWatch(a=a, b=b, timeframe=one.timeframe, window=one.window, method=one.method)
                found[watch] = None
    return list(found)
