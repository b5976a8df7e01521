"""What analytics reads beside the shared settings."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
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


class AnalyticsSettings(Settings):
    """Settings of analytics."""

    live_pairs: Annotated[list[str], NoDecode, AfterValidator(_check_pairs)] = Field(
        default_factory=lambda: [ALL],
        description="Pairs to compute as bars close: all of the streamed symbols, none, or A-B,C-D "
        "(A/B where a symbol has a hyphen)",
    )
    live_timeframe: str = Field(
        "",
        description="Timeframe of LIVE_PAIRS; empty means 1m, or the longest of RESAMPLE_INTERVALS without it",
    )
    radar_timeframes: Annotated[list[str], NoDecode] = Field(
        default_factory=list[str],
        description="Timeframes of the radar over all pairs; none, or empty for that of LIVE_PAIRS",
    )
    radar_bars: int = Field(240, ge=20, le=5_000, description="Bars that the radar looks at")
    keep_signals_days: int = Field(0, ge=0, description="Days of signals to keep in Postgres; 0 keeps all")

    _pair_lists = field_validator("live_pairs", "radar_timeframes", mode="before")(comma_list)

    @model_validator(mode="after")
    def _timeframes(self) -> Self:
        built = self.resample_intervals
        if not self.live_timeframe:
            self.live_timeframe = "1m" if "1m" in built else max(built, key=timeframe_ns)
        if not self.radar_timeframes:
            self.radar_timeframes = [self.live_timeframe]
        elif self.radar_timeframes == [NONE]:
            self.radar_timeframes = []
        for name, values in (
            ("LIVE_TIMEFRAME", [self.live_timeframe]),
            ("RADAR_TIMEFRAMES", self.radar_timeframes),
        ):
            wrong = [value for value in values if value not in built]
            if wrong:
                raise ValueError(
                    f"{name}={','.join(wrong)}: use one of RESAMPLE_INTERVALS ({', '.join(built)})"
                )
        return self
