"""From what a user writes to a rule: every wrong field is told at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapestream.alerts.core.durations import (
    ALLOWED_DURATION,
    ALLOWED_INSTANT,
    parse_duration,
    parse_instant,
)
from tapestream.alerts.core.faults import Faults
from tapestream.alerts.core.metric import Metric, Source
from tapestream.alerts.core.template import WORDS, unknown_words
from tapestream.common.contracts.alerts import ConditionSpec, RuleSpec
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.pair_limits import METHODS, largest_watched_window, method_named

SEVERITIES = ("info", "warning", "critical")
MOST_CONDITIONS, MOST_CHANNELS, MOST_BARS = 20, 20, 10_000
CONDITION_FIELDS = (
    "metric", "symbol", "pair", "op", "value", "hysteresis", "timeframe", "bars", "window", "method",
)  # fmt: skip
RULE_FIELDS = (
    "name", "conditions", "match", "for", "cooldown", "severity", "message", "once", "expires_at", "enabled",
    "channels",
)  # fmt: skip
ALIASES = {"operator": "op", "tf": "timeframe", "active": "enabled", "threshold": "value"}
ANSWERED = {
    "id", "version", "since", "created_at", "trigger_count", "last_triggered", "last_value", "warnings", "recurring",
}  # fmt: skip
"""Fields of an answer that nobody decides: a rule that was read may be sent back as it is."""


@dataclass(frozen=True)
class Bounds:
    """What rules may speak of in this system."""

    metrics: Mapping[str, Metric]
    venue: str
    timeframes: list[str]
    is_known: Callable[[InstrumentName], bool]
    known_text: Callable[[], str]
    channel_fault: Callable[[str], tuple[str, str] | None]
    """What is wrong with a channel's URL, and what is allowed; None where nothing is."""
    window: int = 60
    """Of pairs, where a rule does not say."""
    method: str = "ols"


def read_rule(body: Mapping[str, Any], bounds: Bounds) -> RuleSpec:
    """A rule of a request. Raises RuleError with every fault."""
    faults = Faults()
    given = plain(body, faults)
    conditions = _conditions(given, bounds, faults)
    spec = RuleSpec(
        name=faults.text(given, "name", 200) or _usual_name(conditions),
        conditions=conditions,
        match=faults.choice(given, "match", ("all", "any"), "all"),
        for_ns=_duration(given, "for", faults),
        cooldown_ns=_duration(given, "cooldown", faults),
        severity=faults.choice(given, "severity", SEVERITIES, "warning"),
        message=_template(given, faults),
        once=faults.flag(given, "once", usual=False),
        expires_ns=_instant(given, "expires_at", faults),
        enabled=faults.flag(given, "enabled", usual=True),
        channels=_channels(given, bounds, faults),
    )
    faults.check()
    return spec


def plain(body: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """The body without aliases and without what nobody decides; null is the same as left out."""
    given: dict[str, Any] = {}
    for key, value in body.items():
        name = ALIASES.get(key, key)
        if key == "active" and body.get("enabled") is not None:
            continue  # an answer tells both, and they differ where a rule has expired
        if name in given and given[name] != value and key not in ANSWERED:
            faults.add(key, value, f"the same as {name}, or only one of them", f"{key} contradicts {name}")
        elif name in RULE_FIELDS or name in CONDITION_FIELDS:
            if value is not None:
                given[name] = value
        elif name not in ANSWERED:
            faults.add(key, value, ", ".join((*RULE_FIELDS, *CONDITION_FIELDS)), "this field is not known")
    return given


def _conditions(given: dict[str, Any], bounds: Bounds, faults: Faults) -> list[ConditionSpec]:
    flat = {key: given[key] for key in CONDITION_FIELDS if key in given}
    if "conditions" not in given:
        single = _condition(flat, "", bounds, faults)
        return [] if single is None else [single]
    listed = given["conditions"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_CONDITIONS:
        faults.add(
            "conditions", listed, f"a list of 1 to {MOST_CONDITIONS} conditions", "this is no such list"
        )
        return []
    found: list[ConditionSpec] = []
    for place, one in enumerate(listed):
        where = f"conditions.{place}."
        if not isinstance(one, dict):
            faults.add(where[:-1], one, "an object with metric, symbol or pair, op, value", "no condition")
            continue
        own: dict[str, Any] = {}
        for key in map(str, one):
            if one[key] is not None:
                own[ALIASES.get(key, key)] = one[key]
        if place == 0:
            for key in flat.keys() & own.keys():
                if flat[key] != own[key]:
                    allowed = f"the same as conditions.0.{key}, or only one of them"
                    faults.add(key, flat[key], allowed, f"{key} contradicts conditions.0.{key}")
        if condition := _condition(own, where, bounds, faults):
            found.append(condition)
    return found


def _condition(given: dict[str, Any], where: str, bounds: Bounds, faults: Faults) -> ConditionSpec | None:
    before = len(faults.found)
    for key in given.keys() - set(CONDITION_FIELDS):
        faults.add(where + key, given[key], ", ".join(CONDITION_FIELDS), "this field is not known")
    name = given.get("metric")
    metric = bounds.metrics.get(name.lower()) if isinstance(name, str) else None
    if metric is None:
        faults.add(where + "metric", name, ", ".join(sorted(bounds.metrics)), "there is no such metric")
        return None
    op = given.get("op")
    if op not in metric.operators:
        faults.add(where + "op", op, " ".join(metric.operators), f"no operator for {metric.name}")
    value = faults.number(given, "value", where)
    hysteresis = faults.number(given, "hysteresis", where, usual=0.0, least=0.0)
    if metric.source is Source.SILENCE and (value <= 0 or hysteresis > value):
        faults.add(where + "value", value, "above 0, and not below hysteresis", "no such silence ends")
    of = _pair(given, where, bounds, faults) if metric.is_of_pair else _symbol(given, where, bounds, faults)
    needed = _needed(given, metric, where, bounds, faults)
    if len(faults.found) > before:
        return None
    assert isinstance(op, str)
    return ConditionSpec(metric=metric.name, of=of, op=op, value=value, hysteresis=hysteresis, **needed)


def _needed(
    given: dict[str, Any], metric: Metric, where: str, bounds: Bounds, faults: Faults
) -> dict[str, Any]:
    """The fields that only some metrics have."""
    found: dict[str, Any] = {}
    for key in ("timeframe", "bars", "method", "window"):
        if key not in metric.needs:
            if given.get(key):
                faults.add(where + key, given[key], "left out", f"{metric.name} has no {key}")
            continue
        match key:
            case "timeframe":
                usual = "1m" if "1m" in bounds.timeframes else bounds.timeframes[0]
                found[key] = faults.choice(given, key, tuple(bounds.timeframes), usual, where)
            case "bars":
                found[key] = faults.count(given, key, 1, MOST_BARS, 1, where)
            case "method":
                method = given.get(key)
                named = method_named(method) if isinstance(method, str) else None
                found[key] = faults.choice(
                    given | ({key: named} if named else {}), key, METHODS, bounds.method, where
                )
            case _:
                most = largest_watched_window(found["method"])
                found[key] = faults.count(given, key, 2, most, bounds.window, where)
    return found


def _symbol(given: dict[str, Any], where: str, bounds: Bounds, faults: Faults) -> str:
    # the form of older front ends has `pair` only, also for the price of one symbol
    key = "symbol" if "symbol" in given or "pair" not in given else "pair"
    found = _instrument(given.get(key), where + key, bounds, faults)
    return str(found or "")


def _pair(given: dict[str, Any], where: str, bounds: Bounds, faults: Faults) -> str:
    key = "pair" if "pair" in given or "symbol" not in given else "symbol"
    text = given.get(key)
    parts = str(text).split("," if "," in str(text) else "-")
    if not isinstance(text, str) or len(parts) != 2:
        faults.add(
            where + key, text, "A-B, or A,B where a symbol has a hyphen", f"{given['metric']} is of a pair"
        )
        return ""
    a, b = (_instrument(part, where + key, bounds, faults) for part in parts)
    if a is not None and a == b:
        faults.add(where + key, text, "two different symbols", "a pair of one symbol with itself")
    return f"{a},{b}"


def _instrument(text: object, field: str, bounds: Bounds, faults: Faults) -> InstrumentName | None:
    try:
        name = InstrumentName.parse(text, bounds.venue) if isinstance(text, str) else None
    except ValueError:
        name = None
    if name is None or not bounds.is_known(name):
        faults.add(field, text, bounds.known_text(), "this symbol is not known")
        return None
    return name


def _duration(given: dict[str, Any], key: str, faults: Faults) -> int:
    try:
        return parse_duration(given.get(key, 0))
    except ValueError as error:
        faults.add(key, given[key], ALLOWED_DURATION, str(error))
        return 0


def _instant(given: dict[str, Any], key: str, faults: Faults) -> int:
    try:
        return parse_instant(given[key]) if key in given else 0
    except (ValueError, OverflowError) as error:
        faults.add(key, given[key], ALLOWED_INSTANT, str(error))
        return 0


def _template(given: dict[str, Any], faults: Faults) -> str:
    text = faults.text(given, "message", 1000)
    if wrong := unknown_words(text):
        words = " ".join(f"{{{word}}}" for word in WORDS)
        faults.add("message", text, words, f"nothing stands for {{{wrong[0]}}}")
    return text


def _channels(given: dict[str, Any], bounds: Bounds, faults: Faults) -> list[str]:
    listed = given.get("channels", [])
    if not isinstance(listed, list) or len(listed) > MOST_CHANNELS:
        faults.add("channels", None, f"a list of {MOST_CHANNELS} URLs at most", "this is no such list")
        return []
    found: list[str] = []
    for place, url in enumerate(listed):
        field = f"channels.{place}"
        if not isinstance(url, str) or not 0 < len(url) <= 2000:
            faults.add(field, None, "a URL", "a channel is the text of a URL")
        elif url == "websocket":
            continue  # gets every firing anyway
        elif fault := bounds.channel_fault(url):
            faults.add(field, url.partition("://")[0] + "://…", fault[1], fault[0])
        elif url not in found:
            found.append(url)
    return found


def _usual_name(conditions: list[ConditionSpec]) -> str:
    if not conditions:
        return ""
    one = conditions[0]
    bare = "-".join(name.rpartition("@")[0] for name in one.of.split(","))
    more = f" and {len(conditions) - 1} more" if len(conditions) > 1 else ""
    value = int(one.value) if math.isfinite(one.value) and one.value == int(one.value) else one.value
    return f"{one.metric} {bare} {one.op} {value}{more}"
