"""Settings of ingest: the venue's addresses and how patient to be with it."""

from __future__ import annotations

from pydantic import Field, SecretStr

from tapestream.common.settings import Settings


class IngestSettings(Settings):
    """What the venue program of ingest reads."""

    binance_ws_url: str = Field(
        "", description="Base of Binance's WebSocket; empty means the real one of the venue"
    )
    binance_rest_url: str = Field(
        "", description="Base of Binance's REST; empty means the real one of the venue"
    )
    binance_api_key: SecretStr = Field(SecretStr(""), description="Needed to fill holes from older trades")

    watchdog_s: float = Field(
        15.0, gt=0, description="A connection that brings no data for so long is taken for dead"
    )
    connection_lifetime_s: float = Field(
        23.5 * 3600, gt=5, description="Hand over to a new connection before the venue cuts (24 h)"
    )
    hole_patience_s: float = Field(
        5.0,
        gt=0,
        le=30,
        description="How long a hole may hold back what is behind it; what it lacks then is filled in behind",
    )
    watermark_lag_ms: int = Field(50, ge=0, description="How far the clock stays behind the newest event")
    instruments_refresh_s: float = Field(
        3600.0, gt=0, description="How often the venue's list of instruments is read again"
    )
    warm_bars: int = Field(500, ge=0, le=1500, description="Bars fetched from the venue when a feed starts")
    backlog_limit_mb: int = Field(
        128, ge=1, description="Unpublished data after which the sockets are closed"
    )
