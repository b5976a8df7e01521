"""Asking a venue over REST, within its limits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec
import structlog

from tapestream.ingest import metrics
from tapestream.ingest.core.budget import WeightBudget

log = structlog.get_logger(__name__)


USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
"""Header: weight that our address has used in this minute of the clock, by whatever program."""
PAUSE_S = 10.0
"""How long to stay away where the venue does not say."""


class RestError(Exception):
    """The venue refused or did not answer.

    ``status`` is 0 where there was no answer at all; ``code`` is the venue's own.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status, self.code = status, code
        super().__init__(f"HTTP {status}, code {code}: {message}")

    @property
    def worth_retrying(self) -> bool:
        return self.status == 0 or self.status in (403, 418, 429) or self.status >= 500


class _Refusal(msgspec.Struct):
    code: int = 0
    msg: str = ""


class VenueRest:
    """One venue's REST: weights are spent from a budget, 429 and 418 are obeyed."""

    def __init__(self, venue: str, base_url: str, api_key: str, weight_per_minute: int) -> None:
        self._venue = venue
        self.has_key = bool(api_key)
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(5.0, connect=2.0),
            headers={"X-MBX-APIKEY": api_key} if api_key else {},
            trust_env=False,
        )
        self._budget = WeightBudget(weight_per_minute, time.monotonic())

    async def get(self, path: str, params: Mapping[str, str | int], weight: int) -> bytes:
        """The body of a successful answer. Raises RestError."""
        await asyncio.sleep(self._budget.spend(weight, time.monotonic()))
        while (pause := self._budget.barred(time.monotonic())) > 0:
            await asyncio.sleep(pause)  # said while this one was waiting
        try:
            response = await self._client.get(path, params=dict(params))
        except httpx.HTTPError as error:
            self._count(path, "no_answer")
            raise RestError(0, 0, repr(error)) from error
        self._count(path, str(response.status_code))
        used = response.headers.get(USED_WEIGHT, "")
        if used.isdecimal():
            self._budget.heard(int(used), time.monotonic())
        if response.status_code == 200:
            return response.content
        if response.status_code in (403, 418, 429):  # 403 is the firewall's, and passes
            pause = _retry_after_s(response.headers.get("Retry-After", ""))
            self._budget.bar(pause, time.monotonic())
            log.warning("venue_rate_limit", status=response.status_code, pause_s=pause)
        try:
            refusal = msgspec.json.decode(response.content, type=_Refusal)
        except msgspec.MsgspecError:
            refusal = _Refusal(msg=response.text[:200])
        raise RestError(response.status_code, refusal.code, refusal.msg)

    async def until_spare(self) -> None:
        """Wait until a request that can wait leaves enough weight for those that cannot."""
        while (pause := self._budget.until_spare(time.monotonic())) > 0:
            await asyncio.sleep(pause)

    def _count(self, path: str, status: str) -> None:
        metrics.requests.labels(self._venue, path.rpartition("/")[2], status).inc()

    async def close(self) -> None:
        await self._client.aclose()


def _retry_after_s(header: str) -> float:
    """Seconds to stay away: HTTP allows a number of them or a date."""
    with contextlib.suppress(ValueError):
        return max(1.0, float(header))
    with contextlib.suppress(ValueError):
        return max(1.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    return PAUSE_S
