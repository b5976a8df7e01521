"""Everything that apprise speaks: ``tgram://``, ``slack://``, ``discord://``, ``mailto://``, ``ntfy://``,
``json://`` and a hundred more, and the web hooks of Discord, Slack and others as they are copied from there."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import apprise
from apprise import NotifyType

from tapestream.alerts.addresses import FORBIDDEN, is_unguarded, only_public
from tapestream.alerts.channel import Delivery, DeliveryError, SendOptions

_threads = ThreadPoolExecutor(64, "apprise")
"""As many as there may be URLs at once: a service that hangs must not keep a thread from another."""
_TYPES = {"info": NotifyType.INFO, "warning": NotifyType.WARNING, "critical": NotifyType.FAILURE}


@lru_cache(maxsize=256)
def _instance(url: str) -> apprise.NotifyBase | None:
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        return None
    # a URL may ask for more (rto=, cto=): a thread must not hang for longer than the usual time
    usual = apprise.NotifyBase
    service.socket_connect_timeout = _at_most(service.socket_connect_timeout, usual.socket_connect_timeout)
    service.socket_read_timeout = _at_most(service.socket_read_timeout, usual.socket_read_timeout)
    return service


def _at_most(asked_s: float | None, usual_s: float) -> float:
    return min(asked_s, usual_s) if asked_s and asked_s > 0 else usual_s


class AppriseChannel:
    name = "apprise"

    def takes(self, url: str) -> bool:
        return _instance(url) is not None

    async def send(self, delivery: Delivery, options: SendOptions) -> None:
        if not options.allow_private and is_unguarded(delivery.url):
            raise DeliveryError(FORBIDDEN, is_final=True)
        try:
            async with asyncio.timeout(options.timeout_s):
                loop = asyncio.get_running_loop()
                done = await loop.run_in_executor(_threads, _notify, delivery, options.allow_private)
        except TimeoutError:
            raise DeliveryError(f"no answer within {options.timeout_s:g} s") from None
        except Exception as error:  # noqa: BLE001 - a library of a hundred services may raise anything
            raise DeliveryError(type(error).__name__) from None
        if not done:
            raise DeliveryError("the service did not take it, or its address is forbidden")


def _notify(delivery: Delivery, allow_private: bool) -> bool:
    service, event = _instance(delivery.url), delivery.event
    if service is None:
        return False
    text, title, kind = event.message, f"[{event.severity}] {event.name}", _TYPES[event.severity]
    if allow_private:
        return bool(service.notify(body=text, title=title, notify_type=kind))
    with only_public():
        return bool(service.notify(body=text, title=title, notify_type=kind))


CHANNEL = AppriseChannel()
