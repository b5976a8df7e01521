"""Writes a tape of the seeded market.

``python -m tapestream.simulators.binance.generate --symbols BTCUSDT,ETHUSDT --start 2026-01-05T00:00:00Z
--minutes 120 --seed 7 --out x.jsonl.gz`` writes ``<receive time ns> <combined frame>`` lines with all
trades and best quotes, as the simulator itself would send them.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import IO

from tapestream.simulators.binance import frames
from tapestream.simulators.binance.symbols import MAJORS, seeded_instrument
from tapestream.simulators.market import MS_NS, Market
from tapestream.simulators.seeded import ANCHOR_MINUTE, SeededInstrument
from tapestream.simulators.seeded_source import quote_of

Line = tuple[int, str, bytes]
"""Time in nanoseconds, stream, payload."""


def minute_lines(market: SeededInstrument, minute: int, quotes: bool) -> Iterator[Line]:
    """Everything that an instrument sends in a minute, in order; a quote before the trade it precedes."""
    instrument = market.instrument
    name = instrument.symbol.lower()
    trades = market.block(minute).trades
    trade_stream, quote_stream = f"{name}@trade", f"{name}@bookTicker"
    made: list[Line] = []
    if quotes:
        updates = market.book_updates(minute)
        made += [
            (ts_ns, quote_stream, frames.book_ticker(instrument, quote_of(instrument, updates, row)))
            for row, ts_ns in enumerate(updates.ts_ns.tolist())
        ]
    made += [
        (
            ts_ns,
            trade_stream,
            frames.trade(instrument, ts_ns // MS_NS, trade_id, ticks, lots, maker, kind),
        )
        for trade_id, ts_ns, ticks, lots, maker, kind in zip(
            trades.ids.tolist(),
            trades.ts_ns.tolist(),
            trades.ticks.tolist(),
            trades.lots.tolist(),
            trades.buyer_maker.tolist(),
            trades.kind.tolist(),
            strict=True,
        )
    ]
    made.sort(key=itemgetter(0))
    return iter(made)


def write_tape(
    out: IO[bytes], markets: list[SeededInstrument], first: int, minutes: int, quotes: bool
) -> int:
    """Write minutes from minute ``first`` (since 1970). Returns how many frames."""
    count = 0
    for minute in range(first, first + minutes):
        streams = [minute_lines(market, minute, quotes) for market in markets]
        lines = [
            b'%d {"stream":"%b","data":%b}\n' % (ts_ns, name.encode(), payload)
            for ts_ns, name, payload in heapq.merge(*streams, key=itemgetter(0))
        ]
        out.write(b"".join(lines))
        count += len(lines)
    return count


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tapestream.simulators.binance.generate", description=__doc__)
    parser.add_argument("--symbols", default=",".join(MAJORS), help="comma-separated")
    parser.add_argument("--market", choices=[str(market) for market in Market], default="usdm")
    parser.add_argument("--start", default="2026-01-05T00:00:00+00:00", help="ISO time; its minute is used")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=1.0, help="multiplies the trades per second")
    parser.add_argument("--no-quotes", action="store_true", help="trades only")
    parser.add_argument("--out", type=Path, required=True, help="written gzipped where it ends in .gz")
    arguments = parser.parse_args(argv)
    try:
        start = datetime.fromisoformat(arguments.start)
    except ValueError:
        parser.error(f"--start {arguments.start}: write an ISO time such as 2026-01-05T00:00:00Z")
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    arguments.minute = int(start.timestamp()) // 60
    if arguments.minute < ANCHOR_MINUTE:
        parser.error("--start: the seeded market begins 2017-01-01")
    if arguments.minutes < 1 or arguments.rate <= 0:
        parser.error("--minutes and --rate must be positive")
    arguments.names = [name.strip().upper() for name in arguments.symbols.split(",") if name.strip()]
    if not arguments.names:
        parser.error("--symbols: name at least one")
    return arguments


def main(argv: list[str] | None = None) -> int:
    chosen = _arguments(argv)
    market = Market(chosen.market)
    markets = [seeded_instrument(chosen.seed, market, name, chosen.rate) for name in chosen.names]
    out = chosen.out
    try:
        # Without a time stamp in its header, so that the same seed gives the same file.
        with out.open("wb") as raw:
            if out.suffix == ".gz":
                with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
                    count = write_tape(packed, markets, chosen.minute, chosen.minutes, not chosen.no_quotes)  # type: ignore[arg-type]
            else:
                count = write_tape(raw, markets, chosen.minute, chosen.minutes, not chosen.no_quotes)
    except OSError as error:
        print(f"--out {out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{count} frames of {len(markets)} symbols, {chosen.minutes} minutes, in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
