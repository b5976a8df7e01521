"""Batches as they travel → numpy columns that have been checked.

A flush is checked as a whole, since numpy is fast on long columns only; the offender is looked for
when there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from tapestream.common.contracts.messages import QuoteBatch, TradeBatch, TradeKind
from tapestream.common.recording.refusal import Refused

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OLDEST_NS = 946_684_800_000_000_000
"""2000-01-01: before any venue that numbers its trades."""
AHEAD_NS = 2 * 86_400_000_000_000
"""How far an event may lie ahead of the host's clock; each day ahead would cost a partition."""
_NO_RECEIPT_NS = 4_102_444_800_000_000_000  # 2100-01-01

_KINDS = {kind.name: int(kind) for kind in TradeKind}
_TRADE_FLOATS, _QUOTE_FLOATS = ("price", "qty"), ("bid", "bid_qty", "ask", "ask_qty")


class _Batch(Protocol):
    @property
    def venue(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def recv_ns(self) -> int: ...
    @property
    def id(self) -> list[int]: ...
    @property
    def ts_ns(self) -> list[int]: ...


B = TypeVar("B", TradeBatch, QuoteBatch)


@dataclass(frozen=True, slots=True)
class Columns(Generic[B]):
    """Batches, column by column; batch ``k`` is rows ``starts[k]`` to ``starts[k + 1]``."""

    batches: list[B]
    origins: list[int]
    """Which message of the flush each batch was."""
    starts: list[int]
    id: Ints
    ts_ns: Ints
    values: dict[str, npt.NDArray[Any]]


def decode(
    decoder: msgspec.json.Decoder[B], payloads: Sequence[bytes], columns: tuple[str, ...]
) -> tuple[list[tuple[int, B]], list[Refused]]:
    """Payloads → (index, batch), and those that are no such batch."""
    good: list[tuple[int, B]] = []
    refused: list[Refused] = []
    read = decoder.decode
    for index, payload in enumerate(payloads):
        try:
            batch = read(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            refused.append(Refused(index, "undecodable", f"{decoder.type.__name__}: {error}"))
            continue
        rows = len(batch.id)
        wrong = [name for name in columns if len(getattr(batch, name)) != rows]
        if wrong or not rows:
            detail = f"{rows} ids, but " + ", ".join(f"{len(getattr(batch, n))} {n}" for n in wrong)
            refused.append(Refused(index, "columns", detail if wrong else "an empty batch", rows))
        elif not batch.venue or not batch.symbol:
            refused.append(Refused(index, "instrument", "venue and symbol must not be empty", rows))
        else:
            good.append((index, batch))
    return good, refused


def trade_columns(found: Sequence[tuple[int, TradeBatch]]) -> tuple[Columns[TradeBatch], list[Refused]]:
    """Checked columns of trades: ``price``, ``qty``, ``buyer_maker``, ``kind``."""
    return _checked(found, _trade_values, _TRADE_FLOATS, strict_ids=True)


def quote_columns(found: Sequence[tuple[int, QuoteBatch]]) -> tuple[Columns[QuoteBatch], list[Refused]]:
    """Checked columns of quotes: ``bid``, ``bid_qty``, ``ask``, ``ask_qty``."""
    return _checked(found, _quote_values, _QUOTE_FLOATS, strict_ids=False)


def _checked(
    found: Sequence[tuple[int, B]],
    values_of: Callable[[list[B], int], dict[str, npt.NDArray[Any]]],
    floats: tuple[str, ...],
    *,
    strict_ids: bool,
) -> tuple[Columns[B], list[Refused]]:
    try:
        columns = _stack(found, values_of)
        if _is_sound(columns, floats, strict_ids):
            return columns, []
    except (OverflowError, ValueError, KeyError):
        pass  # a number beyond 64 bits or an unknown word: found again below, in its batch
    good: list[tuple[int, B]] = []
    refused: list[Refused] = []
    for one in found:
        problem = _problem(one, values_of, floats, strict_ids)
        if problem:
            refused.append(Refused(one[0], *problem, rows=len(one[1].id)))
        else:
            good.append(one)
    return _stack(good, values_of), refused


def _stack(
    found: Sequence[tuple[int, B]], values_of: Callable[[list[B], int], dict[str, npt.NDArray[Any]]]
) -> Columns[B]:
    batches = [batch for _, batch in found]
    starts = [0, *accumulate(len(batch.id) for batch in batches)]
    total = starts[-1]
    return Columns(
        batches,
        [index for index, _ in found],
        starts,
        _column((batch.id for batch in batches), np.int64, total),
        _column((batch.ts_ns for batch in batches), np.int64, total),
        values_of(batches, total),
    )


def _trade_values(batches: list[TradeBatch], total: int) -> dict[str, npt.NDArray[Any]]:
    kind = np.zeros(total, np.int16)
    if any(batch.kind is not msgspec.UNSET for batch in batches):
        at = 0
        for batch in batches:
            if batch.kind is not msgspec.UNSET:
                if len(batch.kind) != len(batch.id):
                    raise ValueError(f"{len(batch.id)} ids, but {len(batch.kind)} kind")
                # A kind of a newer version is tolerated: it makes no bars either way.
                kind[at : at + len(batch.id)] = [_KINDS.get(k, int(TradeKind.OTHER)) for k in batch.kind]
            at += len(batch.id)
    return {
        "price": _column((batch.price for batch in batches), np.float64, total),
        "qty": _column((batch.qty for batch in batches), np.float64, total),
        # bytes() of a list of bools is three times as fast as numpy.
        "buyer_maker": np.frombuffer(b"".join([bytes(b.buyer_maker) for b in batches]), np.bool_),
        "kind": kind,
    }


def _quote_values(batches: list[QuoteBatch], total: int) -> dict[str, npt.NDArray[Any]]:
    return {
        name: _column((getattr(batch, name) for batch in batches), np.float64, total)
        for name in _QUOTE_FLOATS
    }


def _column(lists: Iterable[list[Any]], dtype: Any, total: int) -> npt.NDArray[Any]:
    return np.fromiter(chain.from_iterable(lists), dtype, total)


def _is_sound(columns: Columns[Any], floats: tuple[str, ...], strict_ids: bool) -> bool:
    if not columns.batches:
        return True
    ids, ts_ns = columns.id, columns.ts_ns
    steps = np.diff(ids)
    if len(columns.batches) > 1:  # from one batch to the next ids may do as they like
        steps[np.asarray(columns.starts[1:-1]) - 1] = 1
    newest = max(_horizon_ns(batch) for batch in columns.batches)
    return bool(
        (not len(steps) or steps.min() >= (1 if strict_ids else 0))
        and ids.min() >= 0
        and ts_ns.min() >= OLDEST_NS
        and ts_ns.max() <= newest
        # NaN fails every comparison.
        and all(columns.values[name].min() >= 0 and columns.values[name].max() < np.inf for name in floats)
    )


def _horizon_ns(batch: _Batch) -> int:
    return min(batch.recv_ns, _NO_RECEIPT_NS) + AHEAD_NS


def _problem(
    one: tuple[int, B],
    values_of: Callable[[list[B], int], dict[str, npt.NDArray[Any]]],
    floats: tuple[str, ...],
    strict_ids: bool,
) -> tuple[str, str] | None:
    batch = one[1]
    try:
        columns = _stack([one], values_of)
    except OverflowError as error:
        return "number", f"a whole number beyond 64 bits: {error}"
    except ValueError as error:
        return "columns", str(error)
    ids, ts_ns = columns.id, columns.ts_ns
    steps = np.diff(ids)
    if ids[0] < 0 or (len(steps) and steps.min() < (1 if strict_ids else 0)):
        at = 0 if ids[0] < 0 else int(np.argmin(steps)) + 1
        return "order", f"ids must be ascending and not negative; id {ids[at]} at {at} is not"
    late, early = ts_ns > _horizon_ns(batch), ts_ns < OLDEST_NS
    if (late | early).any():
        at = int(np.argmax(late | early))
        return "time", f"ts_ns {ts_ns[at]} at {at} is before 2000 or days after its receipt"
    for name in floats:
        column = columns.values[name]
        bad = ~((column >= 0) & (column < np.inf))
        if bad.any():
            at = int(np.argmax(bad))
            return "number", f"{name} {column[at]} at {at}: a finite number of at least 0 is needed"
    return None
