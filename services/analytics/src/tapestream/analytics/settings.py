"""What analytics reads beside the shared settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator
from pydantic_settings import NoDecode

from tapestream.common.contracts.instruments import parse_pair
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.common.settings import Settings, comma_list

ALL, NONE = "all", "none"


def _check_pairs(values: list[str]) -> list[str]:
    for value in values:
        if value not in (ALL, NONE):
            parse_pair(value.replace("/", ","), "venue")
    if len(values) > 1 and {ALL, NONE} & set(values):
        raise ValueError(f"{', '.join(values)}: write {ALL}, {NONE} or pairs")
    return values


def _check_timeframe(value: str) -> str:
    timeframe_ns(value)
    return value


class AnalyticsSettings(Settings):
    """Settings of analytics."""

    live_pairs: Annotated[list[str], NoDecode, AfterValidator(_check_pairs)] = Field(
        default_factory=lambda: [ALL],
        description="Pairs to compute as bars close: all of the streamed symbols, none, or A-B,C-D "
        "(A/B where a symbol has a hyphen)",
    )
    live_timeframe: Annotated[str, AfterValidator(_check_timeframe)] = Field(
        "1m", description="Timeframe of LIVE_PAIRS, one of RESAMPLE_INTERVALS"
    )
    radar_timeframes: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["1m"],
        description="Timeframes of the radar over all pairs, each one of RESAMPLE_INTERVALS",
    )
    radar_bars: int = Field(240, ge=20, le=5_000, description="Bars that the radar looks at")
    keep_signals_days: int = Field(0, ge=0, description="Days of signals to keep in Postgres; 0 keeps all")

    _pair_lists = field_validator("live_pairs", "radar_timeframes", mode="before")(comma_list)
