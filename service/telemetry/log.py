"""Log lines as JSON: one object a line on stderr, a request's with its id, stages and outcome.

Queries are shown as a keyed hash unless asked otherwise: equal queries stay recognisable, and
nobody without the key can try words against the log. Keys, bodies and item texts never come here.
"""

import hashlib
import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from service.settings import Settings
from service.telemetry.line_writer import LineWriter
from service.telemetry.observed import Observed, current

REQUESTS = "service.request"  # the logger's name in request lines
LEAST_STATUS = {"all": 0, "errors": 400, "none": 1000}


class JsonLines(logging.Formatter):
    """A record as one JSON object, with the id of the request it was written for."""

    def format(self, record: logging.LogRecord) -> str:
        """The line without its end."""
        line: dict[str, Any] = {
            "time": _shown(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        observed = current.get()
        if observed is not None:
            line["request_id"] = observed.request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send this process's log lines, uvicorn's too, to stderr as JSON."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(settings.log_level.upper())


class RequestLog:
    """Writes a line for each request that the settings ask one for."""

    def __init__(self, settings: Settings, *, writer: LineWriter | None = None) -> None:
        key = settings.log_hash_key
        self._key = b"" if key is None else hashlib.sha256(key.get_secret_value().encode()).digest()
        self._queries = settings.log_queries
        self._least = LEAST_STATUS[settings.log_requests]
        self._process = os.getpid()
        self._writer = writer or LineWriter()

    def write(self, observed: Observed, query: str | None) -> None:
        """Have the line of one answered request written."""
        if observed.status < self._least:
            return
        line: dict[str, Any] = {
            "time": _shown(time.time()),
            "level": "error" if observed.status == 500 else "info",
            "logger": REQUESTS,
            "process": self._process,
            "message": f"{observed.method} {observed.route} {observed.status}",
            "request_id": observed.request_id,
            **self._fields(observed, query),
        }
        self._writer.put(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    @property
    def dropped(self) -> int:
        """Lines nobody took in time."""
        return self._writer.dropped

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _fields(self, observed: Observed, query: str | None) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "route": observed.route,
            "status": observed.status,
            "milliseconds": round(observed.seconds * 1000, 3),
        }
        if observed.client:
            fields["client"] = observed.client
        if observed.waited:
            fields["queue_milliseconds"] = round(observed.waited * 1000, 3)
        if observed.refused is not None:
            fields["refused"] = observed.refused
        if query is not None and self._queries != "none":
            fields["query"] = query if self._queries == "plain" else self._hash(query)
        work = observed.work
        if work is not None:
            fields["stages"] = {
                str(stage): round(taken * 1000, 3) for stage, taken in work.seconds.items()
            }
            fields["candidates"] = {str(status): n for status, n in work.statuses.items()}
            if work.degraded:
                fields["degraded"] = list(work.degraded)
        return fields

    def _hash(self, query: str) -> str:
        text = query.encode(errors="surrogatepass")
        return "#" + hashlib.blake2b(text, digest_size=8, key=self._key).hexdigest()


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
