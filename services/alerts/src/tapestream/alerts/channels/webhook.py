"""Plain webhooks: ``POST`` of a JSON body, signed.

The signature is ``X-Tapestream-Signature: t=<seconds>,v1=<hex>``, an HMAC-SHA256 over ``<seconds>.<body>``:
a receiver recomputes it with the shared secret and refuses what is too old. ``X-Tapestream-Delivery`` is the
same at each try. Redirects are not followed: they would lead past the check of the address.
"""

from __future__ import annotations

import hashlib
import hmac
import time
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
        parts = urlsplit(delivery.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        body = payload(delivery)
        try:
            address = await resolve(host, port, allow_private=options.allow_private)
            url = httpx.URL(delivery.url).copy_with(host=address)
            headers = _headers(delivery, body, options.secret) | {"Host": parts.netloc.rpartition("@")[2]}
            async with httpx.AsyncClient(
                timeout=options.timeout_s, follow_redirects=False, trust_env=False
            ) as client:
                answer = await client.post(
                    url, content=body, headers=headers, extensions={"sni_hostname": host}
                )
        except ForbiddenAddressError as error:
            raise DeliveryError(str(error), is_final=True) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise DeliveryError(type(error).__name__) from None  # its text may hold the URL
        if answer.is_redirect:
            raise DeliveryError(f"answered {answer.status_code}: redirects are not followed")
        if not answer.is_success:
            raise DeliveryError(f"answered {answer.status_code}")


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
