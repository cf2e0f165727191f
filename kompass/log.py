"""One log for everything: our own events and those of uvicorn and other libraries, in one format."""

from __future__ import annotations

import logging
import re
import sys

import structlog

from kompass.settings_values import LogFormat, LogLevel

_CHATTY = ("alembic", "uvicorn", "httpx", "httpcore")
"""Libraries that say at `info` what only matters while hunting a defect."""
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
"""Without the values of variables: passwords and people's texts would be among them."""
_SECRET_ADDRESS = re.compile(r"(?<=/calendars/)[^/?\s]+(?=\.ics)")
"""Of a calendar: whoever knows it may read it."""


def configure(level: LogLevel, format: LogFormat) -> None:
    """Sends every log line to stderr: `key=value` text for people or a JSON object a line for machines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
    ]
    renderer: structlog.typing.Processor
    if format is LogFormat.JSON:
        shared.append(structlog.processors.ExceptionRenderer(_TRACEBACKS))
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # without them here, too
        )

    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level is not LogLevel.DEBUG:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)


def _without_secrets(
    _: structlog.typing.WrappedLogger, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A line without the secrets that addresses have."""
    text = event.get("event")
    if isinstance(text, str) and ".ics" in text:
        event["event"] = _SECRET_ADDRESS.sub("…", text)
    return event
