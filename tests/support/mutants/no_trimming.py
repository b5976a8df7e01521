"""Bars that take in again what they had already."""

from __future__ import annotations

from tapestream.common.bus.stateful import StatefulConsumer
from tapestream.common.process import run_process
from tapestream.common.settings import Settings
from tapestream.ingest.bars.app import main
from tapestream.ingest.bars.core.fold import BarsFold

if __name__ == "__main__":
    take_in, on_trades = StatefulConsumer._take_in, BarsFold._on_trades

    def _take_in(self, message):
        self._seen.clear()
        take_in(self, message)

    def _on_trades(self, batch):
        self._symbol(batch.venue, batch.symbol).last_id = -1
        return on_trades(self, batch)

    StatefulConsumer._take_in = _take_in  # type: ignore[method-assign]
    BarsFold._on_trades = _on_trades  # type: ignore[method-assign]
    run_process("bars", Settings, main)
