"""Structured logs: JSON lines with a trace id, secrets taken out."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
import warnings
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from tapestream.common.settings import Settings

_SECRET_KEY = re.compile(r"(?i)(password|passwd|secret|token|api_?key|authorization|cookie)")
_URL_SECRET = re.compile(r"://[^/\s]*@")
_QUERY_SECRET = re.compile(r"(?i)((?:token|api_?key|signature|password)=)[^&\s]+")
ROTATE_BYTES, ROTATE_KEEP = 32 << 20, 5


def redact(value: object) -> object:
    """Take passwords out of URLs and query strings."""
    if isinstance(value, str):
        return _QUERY_SECRET.sub(r"\1***", _URL_SECRET.sub("://***@", value))
    if isinstance(value, Mapping):
        return {k: "***" if _SECRET_KEY.search(str(k)) else redact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = "***" if _SECRET_KEY.search(key) else redact(value)
    return event


def configure_logs(settings: Settings, service: str) -> None:
    """Send structlog, the standard library's logging and warnings to one place as JSON lines."""
    handler: logging.Handler
    if settings.log_file is not None:
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            settings.log_file, maxBytes=ROTATE_BYTES, backupCount=ROTATE_KEEP
        )
    else:
        handler = logging.StreamHandler(sys.stdout)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for noisy in (
        "uvicorn.access",
        "uvicorn.error",
        "httpx",
        "httpcore",
        "nats",
        "websockets",
        "alembic",
        "picows",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    warnings.simplefilter("default")
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.log_level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service, instance=settings.instance)
