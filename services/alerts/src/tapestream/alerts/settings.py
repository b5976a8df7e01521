"""Settings of alerts."""

from __future__ import annotations

from pydantic import Field, SecretStr

from tapestream.common.settings import Settings


class AlertsSettings(Settings):
    """What the alerts service reads."""

    alert_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Webhooks are signed with it (HMAC-SHA256); empty sends them unsigned"
    )
    alert_webhook_private: bool = Field(
        False, description="Whether notifications may go to private, loopback and link-local addresses"
    )
    alert_delivery_timeout_s: float = Field(
        10.0, gt=0, le=120, description="How long one try to notify may take"
    )
    alert_delivery_deadline_s: float = Field(
        86_400.0, gt=0, description="A notification that could not be delivered for so long has failed"
    )
    alert_delivery_longest_wait_s: float = Field(
        300.0, gt=0, description="Longest pause between two tries; the first one is a second"
    )
    alert_max_rules: int = Field(10_000, ge=1, description="How many rules there may be")
    alert_test_events: int = Field(
        2_000_000, ge=1, description="Stored trades, bars and signals that one back-test evaluates at most"
    )
