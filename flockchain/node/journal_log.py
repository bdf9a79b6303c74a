"""The node's log on standard error: structured, as coloured lines for people or JSON lines for machines.

Secrets never come near it: whoever logs passes names and values that may be read by anyone.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import structlog

from flockchain.node.config import LogConfig

__all__ = ["get_logger", "start_logging"]

_LEVELS: Final = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR
}  # fmt: skip


def start_logging(config: LogConfig) -> None:
    """Set the process up to log as `config` says."""
    last: Any = (
        structlog.processors.JSONRenderer()
        if config.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _show_bytes,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def get_logger(**values: Any) -> Any:
    """A logger that adds `values` to every line."""
    return structlog.get_logger().bind(**values)


class _Unfailing:
    """A stream that loses a line rather than raise: a full disk or a closed pipe must not stop the chain."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _show_bytes(_logger: Any, _method: str, line: Any) -> Any:
    """Hashes and keys as hex, as at every human boundary."""
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in line.items()}
