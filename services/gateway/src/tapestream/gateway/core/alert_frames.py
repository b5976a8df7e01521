"""Alerts as they are shown outside."""

from __future__ import annotations

from tapestream.common.contracts.alerts import AlertFired
from tapestream.gateway.core.frames import to_json
from tapestream.gateway.core.times import iso_utc


def alert_payload(fired: AlertFired, venue: str, seq: int) -> bytes:
    """The ``alert`` frame."""
    return to_json(
        {
            "type": "alert",
            "id": fired.id,
            "alert_id": fired.rule_id,
            "name": fired.name,
            "message": fired.message,
            "metric": fired.metric,
            "pair": shown_pair(fired.of, venue),
            "operator": fired.op,
            "actual_value": fired.actual_value,
            "threshold_value": fired.threshold_value,
            "severity": fired.severity,
            "ts": iso_utc(fired.ts_ns),
            "seq": seq,
        }
    )


def shown_pair(of: str, venue: str) -> str:
    """Instruments as users write them: bare on the default venue, a pair with a hyphen where that is clear."""
    names = [name.removesuffix(f"@{venue}") for name in of.split(",")]
    return ("," if any("-" in name for name in names) else "-").join(names)
