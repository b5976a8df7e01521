"""What the gateway reads from the environment beside the shared settings."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from tapestream.common.settings import Port, Settings

_LOCAL_FRONT_ENDS = ["http://localhost:3000", "http://localhost:5173", "http://localhost:8080"]


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class GatewaySettings(Settings):
    """Settings of the gateway."""

    port: Port = Field(8000, description="Port of HTTP and WebSocket")
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: list(_LOCAL_FRONT_ENDS),
        description="Origins whose pages may use the API; * means any and takes credentials away",
    )
    api_token: SecretStr = Field(
        SecretStr(""),
        description="Guards everything but health and /docs; required when HOST is not loopback",
    )
    required_services: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["ingest", "bars", "recorder"],
        description="Services without which /health/ready answers 503",
    )

    tick_buffer_size: int = Field(
        10_000, ge=100, le=1_000_000, description="Trades kept in memory per symbol"
    )
    bar_buffer_size: int = Field(
        2_000, ge=10, le=100_000, description="Bars kept in memory per symbol and timeframe"
    )
    warm_up_s: float = Field(
        900.0, ge=0, le=86_400, description="How far back the streams are read at start, in seconds"
    )
    warm_up_messages: int = Field(
        100_000, ge=1_000, le=10_000_000, description="How many messages are read at start at most"
    )
    max_latency_ms: float = Field(
        100.0, gt=0, le=60_000, description="Trades older than this when served make the gateway degraded"
    )
    batch_update_interval_ms: int = Field(
        50, ge=1, le=10_000, description="How often a client that asked for batches gets one"
    )

    ws_heartbeat_s: float = Field(5.0, ge=0.1, le=60, description="How often a client gets a heartbeat frame")
    ws_max_message_bytes: int = Field(65_536, ge=1_024, le=1 << 20, description="Longest message of a client")
    ws_max_messages_per_s: float = Field(50.0, gt=0, description="How fast a client may send")
    ws_max_clients: int = Field(1_000, ge=1, description="How many clients one process serves")
    ws_max_channels: int = Field(1_000, ge=1, description="How many channels a client may have")
    ws_slow_bytes: int = Field(
        1 << 20, ge=16_384, description="Unread bytes above which a client gets newest values only"
    )
    ws_slow_s: float = Field(
        10.0, gt=0, le=600, description="How long a client may stay that slow before it is cut"
    )
    ws_resume_trades: int = Field(
        200_000, ge=0, description="How many missed trades a resuming client is sent at most"
    )

    export_max_quotes: int = Field(20_000_000, ge=1, description="How many quotes one export gives at most")

    database_pool_size: int = Field(5, ge=1, le=100, description="Connections to Postgres")
    backfill_timeout_s: float = Field(60.0, gt=0, le=600, description="How long a backfill may take")

    @field_validator("cors_origins", "required_services", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, values: list[str]) -> list[str]:
        for value in values:
            scheme, sep, rest = value.partition("://")
            if value != "*" and (scheme not in {"http", "https"} or not sep or not rest or "/" in rest):
                raise ValueError(f"{value!r} is no origin: write http://host:port, comma separated, or *")
        return values

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not self.on_loopback and not self.api_token.get_secret_value():
            raise ValueError(
                f"HOST={self.host} can be reached from other machines and needs API_TOKEN to be set; "
                "without a token HOST must be 127.0.0.1, ::1 or localhost"
            )
        return self

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def database_address(self) -> str:
        """URL of Postgres with its password; empty where none is set."""
        return self.database_url.get_secret_value()
