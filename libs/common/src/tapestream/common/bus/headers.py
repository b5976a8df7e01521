"""Headers that every stored message carries."""

from __future__ import annotations

from nats.js.api import Header

ORDINAL = "Tape-Ordinal"
"""Grows with each message of a subject: the last trade id, a quote's update id, a bar's count."""
PRODUCER = "Tape-Producer"
"""``service/version+configuration hash`` of the process that wrote the message."""
CAUSE = "Tape-Cause"
"""The input sequences that a derived message saw: ``MARKET=1234``."""
ERROR = "Tape-Error"
"""Why a message was dead-lettered."""
ORIGIN = "Tape-Origin"
"""Subject, stream and sequence that a dead-lettered message had."""
TRACEPARENT = "traceparent"
"""W3C trace context."""
MSG_ID = Header.MSG_ID.value
"""JetStream's own: a second message with the same id inside the window is not stored."""
