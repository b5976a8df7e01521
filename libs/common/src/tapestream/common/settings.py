"""Settings that every process shares, read from the environment and from ``.env``.

A wrong value stops the start with the variable's name, its value and what is allowed.
``.env.example`` lists them all; a test keeps it complete.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.common.errors import SettingsError

SUPERSEDED = {
    "REDIS_URL": "NATS JetStream carries what Redis did (NATS_URL)",
    "REDIS_HOST": "NATS JetStream carries what Redis did (NATS_URL)",
    "REDIS_PORT": "NATS JetStream carries what Redis did (NATS_URL)",
    "KAFKA_BOOTSTRAP_SERVERS": "NATS JetStream carries what Kafka did (NATS_URL)",
    "CELERY_BROKER_URL": "jobs are a NATS work queue (NATS_URL)",
    "CELERY_RESULT_BACKEND": "results are kept in Postgres (DATABASE_URL)",
    "SQLITE_PATH": "history is kept in Postgres (DATABASE_URL)",
}
"""Variables of the seed documents that have no meaning here, and what took their place."""

Port = Annotated[int, Field(ge=1, le=65535)]


def comma_list(value: object) -> object:
    """``a, b`` as a list, for settings that take several values."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _check_timeframes(values: list[str]) -> list[str]:
    for value in values:
        timeframe_ns(value)
    return values


class Settings(BaseSettings):
    """What every process reads. Services add their own in their ``settings.py``."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address that the gateway binds")
    debug: bool = Field(False, description="Human-readable log lines and more of them")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO")
    log_file: Path | None = Field(None, description="Write logs here, rotated, instead of to the console")
    data_dir: Path = Field(Path(".tapestream"), description="Where the embedded servers keep their data")

    nats_url: str = Field("", description="An external NATS server; empty starts the embedded one")
    nats_port: Port = Field(4222, description="Port of the embedded NATS server")
    database_url: SecretStr = Field(
        SecretStr(""), description="An external Postgres; empty starts the embedded one"
    )
    postgres_port: Port = Field(5433, description="Port of the embedded Postgres")
    subject_prefix: str = Field("", description="Moves a whole system beside the live one")
    stream_store_bytes: int = Field(
        8 << 30, ge=64 << 20, description="Size of the stream store; streams take 80 % of it at most"
    )

    feed: Literal["sim", "binance"] = Field("sim", description="The bundled simulator or the real Binance")
    venue: Literal["binance_usdm", "binance_spot"] = Field(
        "binance_usdm", description="The default venue: a bare symbol means an instrument of this one"
    )
    available_symbols: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Symbols on offer; empty means the five majors, or all where the venue lists only a few",
    )
    max_symbols: int = Field(10, ge=1, le=1000, description="How many symbols may stream at once")
    resample_intervals: Annotated[list[str], NoDecode, AfterValidator(_check_timeframes)] = Field(
        default_factory=lambda: ["1s", "1m", "5m"], description="Timeframes that bars are built for"
    )

    default_rolling_window: int = Field(60, ge=2, le=10_000, description="Bars in a window of pair analytics")
    default_regression: Literal["ols", "huber", "theil-sen", "kalman", "tls"] = Field(
        "ols", description="How a hedge ratio is found where nobody says"
    )

    instance: str = Field("0", description="Tells processes of one service apart")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a process's health and metrics; 0 picks one"
    )
    shutdown_timeout_s: float = Field(10.0, gt=0, description="How long a process may drain when stopped")

    _lists = field_validator("available_symbols", "resample_intervals", mode="before")(comma_list)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("default_regression", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.strip().lower().replace("_", "-") if isinstance(value, str) else value

    @classmethod
    def load(cls) -> Self:
        """Read and check the settings. Raises SettingsError that names every wrong variable."""
        return load_settings(cls)


_S = TypeVar("_S", bound=BaseSettings)


def load_settings(settings_type: type[_S]) -> _S:
    """Read any settings class, turning a wrong value into one clear line per variable."""
    for name, instead in SUPERSEDED.items():
        if os.environ.get(name):
            warnings.warn(f"{name} is not used: {instead}", stacklevel=2)
    try:
        return settings_type()
    except ValidationError as error:
        lines: list[str] = []
        for problem in error.errors():
            name = str(problem["loc"][0]).upper() if problem["loc"] else "settings"
            secret = "SecretStr" in str(settings_type.model_fields.get(name.lower(), ""))
            value = "***" if secret else problem["input"]
            lines.append(f"{name}={value}: {problem['msg']}")
        raise SettingsError("; ".join(lines)) from None
