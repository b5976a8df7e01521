"""Settings of the Binance simulator."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tapestream.common.settings import comma_list, load_settings
from tapestream.simulators.binance.symbols import MAJORS
from tapestream.simulators.seeded import ANCHOR_MINUTE


class SimulatorSettings(BaseSettings):
    """Read from the environment and from ``.env``."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    binance_sim_host: str = Field("127.0.0.1", description="Address that the simulator binds")
    binance_sim_port: int = Field(
        9443, ge=0, le=65535, description="Port for REST and WebSocket; 0 picks one"
    )
    binance_sim_api_key: str = Field(
        "tapestream-sim", description="The one key that historicalTrades accepts"
    )
    binance_sim_weight_limit: int = Field(
        0, ge=0, description="Request weight per minute; 0 means Binance's own (6000 spot, 2400 USD-M)"
    )
    binance_sim_spot_ping_s: float = Field(20.0, gt=0, description="Seconds between ping frames on spot")
    binance_sim_usdm_ping_s: float = Field(180.0, gt=0, description="Seconds between ping frames on USD-M")
    binance_sim_pong_timeout_s: float = Field(
        0.0,
        ge=0,
        description="Seconds until a missing pong ends a connection; 0 means 60 on spot, 600 on USD-M",
    )
    binance_sim_messages_per_s: int = Field(
        10, ge=1, description="Messages a client may send in a second before it is disconnected"
    )
    binance_sim_max_buffer_bytes: int = Field(
        64 << 20, ge=1 << 16, description="A client that leaves more than this unread is cut off"
    )
    binance_sim_connection_lifetime_s: float = Field(
        86_400.0, gt=0, description="When a connection is cut, as Binance does"
    )

    sim_symbols: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: list(MAJORS), description="Symbols of the seeded market, on both markets"
    )
    sim_seed: int = Field(7, description="The seeded market's seed: same seed, same tape")
    sim_rate: float = Field(
        1.0, gt=0, le=1000, description="Multiplies the seeded market's trades per second"
    )
    sim_start: datetime | None = Field(
        None, description="Where the seeded market's clock starts; empty means now"
    )
    speed: float = Field(
        1.0, ge=0, description="How much faster than recorded; 0, for tapes only, as fast as possible"
    )
    tape: Annotated[list[Path], NoDecode] = Field(
        default_factory=list, description="Recorded frames to play instead of the seeded market"
    )
    loop: bool = Field(False, description="Play the tape again and again")

    _lists = field_validator("sim_symbols", "tape", mode="before")(comma_list)

    @field_validator("sim_symbols")
    @classmethod
    def _symbols(cls, value: list[str]) -> list[str]:
        for symbol in value:
            if not symbol.isalnum() or symbol != symbol.upper() or not 5 <= len(symbol) <= 20:
                raise ValueError(f"{symbol!r} is no symbol; write names such as BTCUSDT")
        if not 1 <= len(set(value)) <= 200:
            raise ValueError("name 1 to 200 symbols")
        return list(dict.fromkeys(value))

    @field_validator("sim_start")
    @classmethod
    def _start(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        if value.timestamp() < (ANCHOR_MINUTE + 2 * 1440) * 60:
            raise ValueError("the seeded market begins 2017-01-01; choose a later day than 2017-01-02")
        return value

    @classmethod
    def load(cls) -> Self:
        """Read and check. Raises SettingsError that names every wrong variable."""
        return load_settings(cls)
