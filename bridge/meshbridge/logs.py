"""Logs: one JSON object per line for machines, coloured key=value for a person at a terminal."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

LISTENING = "listening"
"""The event that says that a port is open, with ``name`` (what) and ``address`` (``host:port``)."""


def configure(stream: TextIO | None = None) -> FilteringBoundLogger:
    """Set logging up for the process and return the logger everything else is bound from.

    Warnings of libraries, which use the standard library's logging, take the same form.
    """
    output = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering = _rendering(output)
    unbreakable = _Unbreakable(output)
    handler = logging.StreamHandler(unbreakable)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(cast("TextIO", unbreakable)),
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    return logger


class _Unbreakable:
    """A stream that takes lines as long as somebody reads them, and never complains.

    The bridge serves a mesh: it does not end because whoever read its log has gone.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose the text to a broken pipe, a full disk or a closed stream."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if there is still something to flush to."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def listening(logger: FilteringBoundLogger) -> Callable[[str, str], None]:
    """Return what is called with (what listens, its address) when a port is open."""

    def say(name: str, address: str) -> None:
        logger.info(LISTENING, name=name, address=address)

    return say


def _rendering(stream: TextIO) -> list[Processor]:
    if stream.isatty():
        return [
            structlog.dev.ConsoleRenderer(
                colors=not os.environ.get("NO_COLOR"),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
