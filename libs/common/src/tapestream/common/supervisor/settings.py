"""What the supervisor reads; the ports it hands to the programs are settings of its own."""

from __future__ import annotations

from pydantic import Field, SecretStr

from tapestream.common.settings import Port, Settings


class SupervisorSettings(Settings):
    """Settings of ``make run``."""

    port: Port = Field(8000, description="Port of the HTTP and WebSocket API")
    gateway_workers: int = Field(1, ge=1, le=64, description="Gateway processes that share PORT")
    binance_sim_port: Port = Field(9443, description="Port of the bundled Binance simulator")
    binance_ws_url: str = Field("", description="WebSocket address of Binance; empty picks it by FEED")
    binance_rest_url: str = Field("", description="REST address of Binance; empty picks it by FEED")
    binance_api_key: SecretStr = Field(
        SecretStr(""), description="Fills holes that Binance publishes to key holders only"
    )
    metrics_base_port: Port = Field(
        9101, description="First of the ports of health and metrics, one for each process"
    )
