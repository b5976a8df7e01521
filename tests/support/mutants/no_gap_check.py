"""Ingest that publishes whatever comes next and looks for no hole."""

from __future__ import annotations

from tapestream.common.process import run_process
from tapestream.ingest.app import main
from tapestream.ingest.core.sequencer import TradeSequencer
from tapestream.ingest.settings import IngestSettings


def _offer(
    self: TradeSequencer,
    trade_id: int,
    ts_ns: int,
    price: float,
    qty: float,
    buyer_maker: bool,
    kind: str,
    recv_ns: int,
) -> bool:
    if trade_id <= self.last_id:
        return False
    self._let_through(trade_id, ts_ns, price, qty, buyer_maker, kind)
    self.verified = True
    return True


if __name__ == "__main__":
    TradeSequencer.offer = _offer  # type: ignore[method-assign]
    run_process("ingest", IngestSettings, main)
