"""All rules, and what each message does to them.

Trades of a batch are taken one by one. A message touches only rules that listen to its source, and a price
only those with a threshold that it reached or passed. Timers run by the venue's clock.

**Why a restart neither repeats nor loses a firing.** Each firing carries the rule's state after it, with
the ordinal of the last event that the state has seen of each of the rule's sources (a trade's id, a bar's
start, …). A restart loads a snapshot, puts each rule's newest recorded firing in place of what the
snapshot knows (:meth:`Evaluator.install`), reads the streams again from the snapshot on, and shows a rule
only events behind those that its state has seen. So what led to a recorded firing is not seen again, and
everything behind it is, whatever the order in which messages of several streams meet this time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import UNSET

from tapestream.alerts.core.closes import Closes
from tapestream.alerts.core.firing import fired_message
from tapestream.alerts.core.levels import undefined, update
from tapestream.alerts.core.machine import Machine, Rule, new_state, pair_key, source_key
from tapestream.alerts.core.metric import Source
from tapestream.alerts.core.prices import Prices
from tapestream.alerts.core.snapshot import Snapshot
from tapestream.alerts.core.timers import Timers
from tapestream.common.contracts.alerts import AlertFired, RuleState
from tapestream.common.contracts.messages import Bar, BarSource, TradeBatch
from tapestream.common.contracts.signals import PairSignal, Radar
from tapestream.common.contracts.timeframes import timeframe_ns

MARKET = "MARKET"
_Touched = dict[Machine, list[int]]


class Evaluator:
    """Calls ``on_fired`` in the very moment of each firing."""

    def __init__(self, on_fired: Callable[[AlertFired], None]) -> None:
        self._on_fired = on_fired
        self.positions: dict[str, int] = {}
        """Stream → sequence of the last message, for the firings' ``cause``."""
        self._recv_ns = 0
        self._restart(Snapshot())

    def _restart(self, snapshot: Snapshot) -> None:
        self.machines: dict[int, Machine] = {}
        self.ordinals = snapshot.ordinals
        """Source → ordinal of its last event."""
        self.counts, self.last_id = snapshot.counts, snapshot.last_id
        self._prices = {of: Prices(of, last) for of, last in snapshot.trades.items()}
        self._closes = snapshot.closes
        self._listeners: dict[str, dict[Machine, list[int]]] = {}
        self._timers = Timers()

    # --- rules

    def put(self, rule: Rule) -> None:
        """Begin with a rule, or begin anew where an older version of it is at work."""
        self.remove(rule.id)
        self._enlist(Machine(rule, new_state(rule.spec)))

    def remove(self, rule_id: int) -> None:
        machine = self.machines.pop(rule_id, None)
        if machine is None:
            return
        self._timers.forget(machine)
        for prices in self._prices.values():
            prices.remove(machine)
        for source in machine.sources:
            self._listeners.get(source, {}).pop(machine, None)

    def _enlist(self, machine: Machine) -> None:
        rule = machine.rule
        self.machines[rule.id] = machine
        for index, (metric, condition) in enumerate(zip(rule.metrics, rule.spec.conditions, strict=True)):
            key = source_key(metric, condition)
            match metric.source:
                case Source.TRADE:
                    waiting = self._prices_of(condition.of).waiting
                    if machine not in waiting:
                        waiting.append(machine)
                case Source.SILENCE:
                    self._prices_of(condition.of).add_silence(machine, index)
                case _:
                    self._listeners.setdefault(key, {}).setdefault(machine, []).append(index)
            if condition.bars:
                closes = self._closes.setdefault(key, Closes())
                closes.most = max(closes.most, condition.bars)
        self._timers.note(machine)

    def _prices_of(self, of: str) -> Prices:
        prices = self._prices.get(of)
        if prices is None:
            prices = self._prices[of] = Prices(of)
        return prices

    def lacking(self, rule: Rule) -> Iterable[tuple[str, str, int]]:
        """Instrument, timeframe and number of the bars of the past that a rule needs and nobody has given."""
        for metric, condition in zip(rule.metrics, rule.spec.conditions, strict=True):
            closes = self._closes.get(source_key(metric, condition))
            if condition.bars and closes is not None and len(closes.ts_ns) < condition.bars:
                yield condition.of, condition.timeframe, condition.bars

    def warm(self, of: str, timeframe: str, bars: Iterable[tuple[int, float]]) -> None:
        """Give start and close of bars of the past; those that are known stay as they are."""
        closes = self._closes.get(f"bar:{timeframe}:{of}")
        if closes is not None:
            known = set(closes.ts_ns)
            for ts_ns, close in bars:
                if ts_ns not in known:
                    closes.put(ts_ns, close)

    # --- trades and clocks

    def on_trades(self, batch: TradeBatch, stored_ns: int) -> None:
        of, ids = f"{batch.symbol}@{batch.venue}", batch.id
        prices = self._prices.get(of) or self._prices_of(of)
        last = prices.last
        if not ids or ids[-1] <= last.id:
            self.counts.duplicates += len(ids)
            return
        first = bisect_right(ids, last.id) if ids[0] <= last.id else 0
        self.counts.duplicates += first
        self.counts.trades += len(ids) - first
        self._recv_ns = batch.recv_ns
        batch_key = f"batch:{of}"
        if batch_key in self._listeners:
            self._event(batch_key, ids[-1], batch.ts_ns[first], stored_ns, lambda _: (batch,))
        if self._is_quiet(prices, batch, first):
            last.price, last.ts_ns = batch.price[-1], max(last.ts_ns, *batch.ts_ns[first:])
        else:
            trade_key = f"trade:{of}"
            for row in range(first, len(ids)):
                self._trade(prices, trade_key, batch, row, stored_ns)
        last.id = self.ordinals[f"trade:{of}"] = ids[-1]
        self._recv_ns = 0

    def _is_quiet(self, prices: Prices, batch: TradeBatch, first: int) -> bool:
        """Whether no rule can notice these trades."""
        last = prices.last.price
        if batch.kind is not UNSET or prices.silences or prices.waiting or last is None:
            return False
        if self._timers.next_ns(prices.of) <= max(batch.ts_ns[first:]):
            return False
        seen = batch.price[first:]
        return prices.thresholds.is_quiet(min(last, *seen), max(last, *seen))

    def _trade(self, prices: Prices, source: str, batch: TradeBatch, row: int, stored_ns: int) -> None:
        trade_id, ts_ns, price = batch.id[row], batch.ts_ns[row], batch.price[row]
        last = prices.last
        touched: _Touched = {}
        # What was due before this trade is told with the price before it, by a state that has not seen it.
        self.ordinals[source] = last.id
        if self._timers.next_ns(prices.of) <= ts_ns:
            self._settle_due(prices.of, ts_ns)
        if prices.silences:
            self._end_silence(prices, source, trade_id, ts_ns, stored_ns, touched)
        if not batch.kind or batch.kind[row] == MARKET:
            if prices.waiting:
                self._begin(prices, source, trade_id, stored_ns, touched)
            if last.price is not None and price != last.price:
                for machine, index in prices.thresholds.between(last.price, price):
                    touched.setdefault(machine, []).append(index)
        else:
            price = last.price
        for machine in touched:
            self._settle(machine, ts_ns)
        last.id = self.ordinals[source] = trade_id
        last.price, last.ts_ns = price, max(last.ts_ns, ts_ns)
        for machine, indexes in touched.items():
            conditions, states = machine.rule.spec.conditions, machine.state.conditions
            for index in indexes:
                one = conditions[index]
                value = 0.0 if machine.rule.metrics[index].source is Source.SILENCE else price
                if value is not None:
                    update(states[index], one.op, value, one.value, one.hysteresis)
            self._decide(machine, ts_ns, indexes)

    def _begin(self, prices: Prices, source: str, trade_id: int, stored_ns: int, touched: _Touched) -> None:
        """Rules that see their first trade are looked at whatever its price is."""
        for machine in [one for one in prices.waiting if one.counts(source, trade_id, stored_ns)]:
            prices.waiting.remove(machine)
            conditions = zip(machine.rule.metrics, machine.rule.spec.conditions, strict=True)
            for index, (metric, condition) in enumerate(conditions):
                if metric.source is Source.TRADE and condition.of == prices.of:
                    prices.thresholds.add(machine, index)
                    touched.setdefault(machine, []).append(index)

    def _end_silence(
        self, prices: Prices, source: str, trade_id: int, ts_ns: int, stored_ns: int, touched: _Touched
    ) -> None:
        if not prices.stale and ts_ns - prices.last.ts_ns < prices.shortest_ns:
            return
        prices.stale = False
        for machine, index, threshold_ns in prices.silences:
            if not machine.counts(source, trade_id, stored_ns):
                prices.stale = True
                continue
            was_looked_at = machine.state.conditions[index].value is not None
            if was_looked_at and prices.last.ts_ns and ts_ns - prices.last.ts_ns >= threshold_ns:
                self._silent(machine, index, prices.last.ts_ns + threshold_ns)
            touched.setdefault(machine, []).append(index)

    def on_clock(self, venue: str, clock_ns: int, stored_ns: int) -> None:
        source = f"clock:{venue}"
        if clock_ns <= self.ordinals.get(source, -1):
            return
        self.ordinals[source] = clock_ns
        reached: list[tuple[int, int, int, Machine]] = []
        for prices in self._prices.values():
            if prices.silences and prices.of.endswith(f"@{venue}"):
                reached += self._silences(prices, source, clock_ns, stored_ns)
        for at_ns, _, index, machine in sorted(reached, key=lambda one: one[:3]):
            self._silent(machine, index, at_ns)
        self._settle_due(venue, clock_ns)

    def _silences(
        self, prices: Prices, source: str, clock_ns: int, stored_ns: int
    ) -> Iterator[tuple[int, int, int, Machine]]:
        """Conditions that have reached their threshold by now: when, and of which rule."""
        last = prices.last
        last.ts_ns = last.ts_ns or clock_ns
        for machine, index, threshold_ns in prices.silences:
            state = machine.state.conditions[index]
            if state.holds or not machine.counts(source, clock_ns, stored_ns):
                continue
            if clock_ns - last.ts_ns >= threshold_ns:
                # one that was silent when the rule began is noticed now; any other reached it at an instant
                at_ns = clock_ns if state.value is None else last.ts_ns + threshold_ns
                prices.stale = True
                yield at_ns, machine.rule.id, index, machine
            else:
                self._look(machine, index, (clock_ns - last.ts_ns) / 1e9)

    def _silent(self, machine: Machine, index: int, at_ns: int) -> None:
        state = machine.state.conditions[index]
        if state.holds:
            return
        self._settle(machine, at_ns)
        state.holds, state.cleared = True, False
        state.value = machine.rule.spec.conditions[index].value
        self._decide(machine, at_ns, (index,))

    def _look(self, machine: Machine, index: int, value: float) -> None:
        one = machine.rule.spec.conditions[index]
        update(machine.state.conditions[index], one.op, value, one.value, one.hysteresis)

    # --- bars and signals

    def on_bar(self, bar: Bar, stored_ns: int) -> None:
        if not bar.complete:
            return
        source = f"bar:{bar.timeframe}:{bar.symbol}@{bar.venue}"
        closes = self._closes.get(source)
        is_new = bar.ts_ns > self.ordinals.get(source, -1)
        if bar.rev or bar.source is not BarSource.TRADES or not is_new:
            self.counts.revised += bar.rev > 0
        else:
            before: Sequence[float] = closes.before(bar.ts_ns) if closes is not None else ()
            end_ns = bar.ts_ns + timeframe_ns(bar.timeframe)
            self._event(source, bar.ts_ns, end_ns, stored_ns, lambda one: (before, bar, one.bars))
        if closes is not None:
            closes.put(bar.ts_ns, bar.close)

    def on_pair(self, signal: PairSignal, stored_ns: int) -> None:
        of = f"{signal.symbol_a}@{signal.venue_a},{signal.symbol_b}@{signal.venue_b}"
        source = pair_key(signal.timeframe, signal.window, signal.method, of)
        if not signal.complete or source not in self._listeners:
            return
        if signal.rev or signal.ts_ns <= self.ordinals.get(source, -1):
            self.counts.revised += signal.rev > 0
            return
        end_ns = signal.ts_ns + timeframe_ns(signal.timeframe)
        self._event(source, signal.ts_ns, end_ns, stored_ns, lambda _: (signal,))

    def on_radar(self, radar: Radar, stored_ns: int) -> None:
        source = f"radar:{radar.timeframe}"
        if radar.ts_ns <= self.ordinals.get(source, -1):
            return
        end_ns = radar.ts_ns + timeframe_ns(radar.timeframe)
        self._event(source, radar.ts_ns, end_ns, stored_ns, lambda one: (radar, one.of))

    def _event(
        self,
        source: str,
        ordinal: int,
        at_ns: int,
        stored_ns: int,
        message: Callable[..., tuple[object, ...]],
    ) -> None:
        """Show a message to the rules that listen to its source."""
        listeners = [
            (machine, indexes)
            for machine, indexes in self._listeners.get(source, {}).items()
            if machine.counts(source, ordinal, stored_ns)
        ]
        for machine, _ in listeners:
            self._settle(machine, at_ns)
        self.ordinals[source] = ordinal
        for machine, indexes in listeners:
            for index in indexes:
                value = machine.rule.metrics[index].value(*message(machine.rule.spec.conditions[index]))
                if value is None:
                    undefined(machine.state.conditions[index])
                else:
                    self._look(machine, index, value)
            self._decide(machine, at_ns, indexes)

    # --- firing

    def _settle_due(self, scope: str, now_ns: int) -> None:
        for machine in self._timers.due(scope, now_ns):
            if self.machines.get(machine.rule.id) is machine:
                self._settle(machine, now_ns)

    def _settle(self, machine: Machine, at_ns: int) -> None:
        fired_ns = machine.settle(at_ns)
        if fired_ns is not None:
            self._fired(machine, fired_ns, ())

    def _decide(self, machine: Machine, at_ns: int, changed: Iterable[int]) -> None:
        due_ns = machine.state.due_ns
        fired_ns = machine.decide(at_ns)
        if fired_ns is not None:
            self._fired(machine, fired_ns, changed)
        elif machine.state.due_ns != due_ns:
            self._timers.note(machine)

    def _fired(self, machine: Machine, at_ns: int, changed: Iterable[int]) -> None:
        for index, (metric, one) in enumerate(
            zip(machine.rule.metrics, machine.rule.spec.conditions, strict=True)
        ):
            state = machine.state.conditions[index]
            if metric.source is Source.TRADE:
                state.value = self._prices[one.of].last.price
            elif metric.source is Source.SILENCE:
                since_ns = self._prices[one.of].last.ts_ns
                state.value = max(0, at_ns - since_ns) / 1e9 if since_ns else None
        machine.state.seen = {
            source: self.ordinals[source] for source in machine.sources if source in self.ordinals
        }
        self.last_id += 1
        self.counts.fired += 1
        self._on_fired(fired_message(machine, self.last_id, at_ns, self._recv_ns, changed, self.positions))

    # --- restarts

    def dump(self) -> bytes:
        """The state, without the rules themselves: those are kept elsewhere."""
        states = {id_: (one.rule.version, one.state) for id_, one in self.machines.items()}
        trades = {of: prices.last for of, prices in self._prices.items()}
        snapshot = Snapshot(states, trades, self._closes, self.ordinals, self.last_id, self.counts)
        return msgspec.msgpack.encode(snapshot)

    def load(self, data: bytes) -> None:
        """Go on from a dump; rules that it does not know, or of another version, begin anew."""
        snapshot = msgspec.msgpack.decode(data, type=Snapshot)
        rules, floor = [one.rule for one in self.machines.values()], self.last_id
        self._restart(snapshot)
        self.last_id = max(self.last_id, floor)
        for rule in rules:
            version, state = snapshot.rules.get(rule.id, (0, None))
            if state is None or version != rule.version:
                state = new_state(rule.spec)
            self._enlist(Machine(rule, state))

    def install(self, fired: Iterable[tuple[int, int, int, RuleState]]) -> None:
        """Put recorded firings (id, rule, version, state after it) in place of older states."""
        newest: dict[int, RuleState] = {}
        for id_, rule_id, version, state in fired:
            self.last_id = max(self.last_id, id_)
            machine = self.machines.get(rule_id)
            if machine is None or machine.rule.version != version:
                continue
            if state.ordinal > newest.get(rule_id, machine.state).ordinal:
                newest[rule_id] = state
        for rule_id, state in newest.items():
            rule = self.machines[rule_id].rule
            self.remove(rule_id)
            self._enlist(Machine(rule, state))

    @property
    def clocks(self) -> Mapping[str, int]:
        """Venue → its watermark."""
        return {key[6:]: ns for key, ns in self.ordinals.items() if key.startswith("clock:")}
