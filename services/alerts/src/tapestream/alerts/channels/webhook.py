"""Plain webhooks: ``POST`` of a JSON body, signed.

The signature is ``X-Tapestream-Signature: t=<seconds>,v1=<hex>``, an HMAC-SHA256 over ``<seconds>.<body>``:
a receiver recomputes it with the shared secret and refuses what is too old. ``X-Tapestream-Delivery`` is the
same at each try. Redirects are not followed: they would lead past the check of the address.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from functools import cache
from urllib.parse import urlsplit

import httpx
import msgspec

from tapestream.alerts.addresses import ForbiddenAddressError, resolve
from tapestream.alerts.channel import Delivery, DeliveryError, SendOptions


class WebhookChannel:
    name = "webhook"

    def takes(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return False

    async def send(self, delivery: Delivery, options: SendOptions) -> None:
        try:
            async with asyncio.timeout(options.timeout_s):
                status = await _post(delivery, options)
        except ForbiddenAddressError as error:
            raise DeliveryError(str(error), is_final=True) from None
        except TimeoutError:
            raise DeliveryError(f"no answer within {options.timeout_s:g} s") from None
        except (httpx.InvalidURL, ValueError) as error:
            raise DeliveryError(type(error).__name__, is_final=True) from None
        except (httpx.HTTPError, OSError) as error:
            raise DeliveryError(type(error).__name__) from None  # its text may hold the URL
        if 300 <= status < 400:
            raise DeliveryError(f"answered {status}: redirects are not followed")
        if not 200 <= status < 300:
            raise DeliveryError(f"answered {status}")


async def _post(delivery: Delivery, options: SendOptions) -> int:
    """Status of the answer; its body is not read."""
    url = httpx.URL(delivery.url)
    host = url.raw_host.decode("ascii")
    port = url.port or (443 if url.scheme == "https" else 80)
    address = await resolve(host, port, allow_private=options.allow_private)
    body = payload(delivery)
    headers = _headers(delivery, body, options.secret) | {"Host": url.netloc.decode("ascii")}
    async with (
        httpx.AsyncClient(
            timeout=options.timeout_s, follow_redirects=False, trust_env=False, verify=_tls()
        ) as client,
        client.stream(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        return answer.status_code


@cache
def _tls() -> ssl.SSLContext:
    """Reading the authorities blocks for many milliseconds: once for all."""
    return httpx.create_ssl_context(trust_env=False)


def payload(delivery: Delivery) -> bytes:
    """The body: the firing as the history shows it."""
    event = delivery.event
    return msgspec.json.encode(
        {
            "type": "alert",
            "delivery_id": delivery.id,
            "id": event.id,
            "alert_id": event.rule_id,
            "name": event.name,
            "message": event.message,
            "severity": event.severity,
            "metric": event.metric,
            "instruments": event.of.split(","),
            "op": event.op,
            "actual_value": event.actual_value,
            "threshold_value": event.threshold_value,
            "conditions": event.conditions,
            "ts_ns": event.ts_ns,
        }
    )


def _headers(delivery: Delivery, body: bytes, secret: str) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Tapestream-Alerts/1",
        "X-Tapestream-Delivery": str(delivery.id),
        "X-Tapestream-Attempt": str(delivery.attempt),
    }
    if secret:
        now = str(int(time.time()))
        headers["X-Tapestream-Signature"] = f"t={now},v1={sign(secret, now, body)}"
    return headers


def sign(secret: str, seconds: str, body: bytes) -> str:
    """Hex HMAC-SHA256 over ``<seconds>.<body>``."""
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


CHANNEL = WebhookChannel()
