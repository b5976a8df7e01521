"""Figures of pairs as they are shown outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tapestream.common.contracts.pair_queries import AdfFigures, PairReply
from tapestream.common.contracts.signals import PairSignal
from tapestream.gateway.core.frames import to_json
from tapestream.gateway.core.times import iso_utc

SIGNIFICANT = 0.05
CSV_HEADER = "timestamp,hedge_ratio,spread,zscore,rolling_correlation\n"


def series(times: Sequence[str], values: Sequence[float | None]) -> list[dict[str, Any]]:
    """``[{ts, value}]``, null where a figure is undefined."""
    return [{"ts": ts, "value": value} for ts, value in zip(times, values, strict=True)]


def adf_values(figures: AdfFigures | None) -> dict[str, Any]:
    """A test's figures; ``stat`` is the name that older front ends read."""
    if figures is None:
        return {}
    return {
        "pvalue": figures.pvalue,
        "stat": figures.statistic,
        "statistic": figures.statistic,
        "lags": figures.lags,
        "observations": figures.observations,
        "critical_values": figures.critical_values,
        "reason": figures.reason or None,
    }


def interpretation(figures: AdfFigures, what: str) -> tuple[bool | None, str]:
    """Whether a unit root is rejected at 5 %, and what that means in words; None where nothing can be said."""
    if figures.pvalue is None:
        return None, f"nothing can be said about {what}: {figures.reason or 'the test is undefined'}"
    if figures.pvalue < SIGNIFICANT:
        text = f"{what} is stationary: a unit root is rejected at 5 % (p = {figures.pvalue:.4g})"
        return True, text
    text = f"{what} may have a unit root: it is not rejected at 5 % (p = {figures.pvalue:.4g})"
    return False, text


def signal_values(signal: PairSignal, pair: str) -> dict[str, Any]:
    """A signal as it is shown outside."""
    return {
        "pair": pair,
        "timeframe": signal.timeframe,
        "window": signal.window,
        "method": signal.method,
        "ts": iso_utc(signal.ts_ns),
        "complete": signal.complete,
        "price_a": signal.price_a,
        "price_b": signal.price_b,
        "hedge_ratio": signal.hedge_ratio,
        "intercept": signal.intercept,
        "spread": signal.spread,
        "zscore": signal.zscore,
        "correlation": signal.correlation,
        "adf_statistic": signal.adf_statistic,
        "adf_pvalue": signal.adf_pvalue,
        "half_life_bars": signal.half_life_bars,
        "reason": signal.reason or None,
        "rev": signal.rev,
    }


def signal_payload(frame_type: str, pair: str, signal: PairSignal, seq: int | None) -> bytes:
    """A ``signal`` frame. Provisional figures have no place in the stream, and so no ``seq``."""
    head = {"type": frame_type} | signal_values(signal, pair)
    return to_json(head | ({"seq": seq} if seq is not None else {}))


def csv_head(pair: str, timeframe: str, reply: PairReply) -> str:
    """What stands before the rows: the question, and the test as of the end of the period."""
    adf = adf_values(reply.adf)
    lines = [
        f"pair={pair} timeframe={timeframe} method={reply.method} hedge={reply.hedge}",
        f"window={reply.window} window_used={reply.window_used}",
        f"adf_statistic={_cell(adf.get('stat'))} adf_pvalue={_cell(adf.get('pvalue'))}",
        f"adf_lags={adf.get('lags')} adf_observations={adf.get('observations')}",
        *(
            f"adf_critical_{level}={_cell(value)}"
            for level, value in (adf.get("critical_values") or {}).items()
        ),
        "adf: of the spread of the last window of bars by the newest hedge ratio",
        *(f"warning: {text}" for text in reply.warnings),
    ]
    return "".join(f"# {line}\n" for line in lines) + CSV_HEADER


def csv_rows(reply: PairReply) -> str:
    """One line for each bar; an undefined figure is an empty cell."""
    columns: Iterable[tuple[float | None, ...]] = zip(
        reply.hedge_ratio, reply.spread, reply.zscore, reply.correlation, strict=True
    )
    return "".join(
        f"{iso_utc(ts_ns)},{','.join(map(_cell, row))}\n"
        for ts_ns, row in zip(reply.ts_ns, columns, strict=True)
    )


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)
