"""What the recorder reads besides the settings of every process."""

from __future__ import annotations

from pydantic import Field

from tapestream.common.settings import Settings


class RecorderSettings(Settings):
    keep_trades_days: int = Field(0, ge=0, description="Days of trades to keep; 0 keeps all")
    keep_quotes_days: int = Field(0, ge=0, description="Days of quotes to keep; 0 keeps all")
