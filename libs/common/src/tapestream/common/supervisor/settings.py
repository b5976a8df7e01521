"""What the supervisor reads; the ports it hands to the programs are settings of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from tapestream.common.settings import Port, Settings, comma_list

DEFAULT_SEED = 7


class SupervisorSettings(Settings):
    """Settings of ``make run``."""

    tape: Annotated[list[Path], NoDecode] = Field(
        default_factory=list[Path],
        description="Recordings to replay instead of the seeded market, comma-separated",
    )
    sim_seed: int = Field(DEFAULT_SEED, description="The seeded market's seed: same seed, same tape")
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

    _tapes = field_validator("tape", mode="before")(comma_list)

    @property
    def source_folder(self) -> Path:
        """Where this source's data lives: trade ids of one source mean nothing beside another's.

        The bundled market has ``DATA_DIR`` itself; the real Binance and each tape have folders in it.
        """
        if self.feed == "binance":
            return self.data_dir / "binance"
        if self.tape:
            names = ",".join(path.name for path in self.tape)
            return self.data_dir / f"tape-{hashlib.sha256(names.encode()).hexdigest()[:8]}"
        if self.sim_seed != DEFAULT_SEED:
            return self.data_dir / f"seed-{self.sim_seed}"
        return self.data_dir
