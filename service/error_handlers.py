"""Turns every exception of a request into the error envelope of `replies.py`."""

import logging
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from relevance.errors import RelevanceError
from service.replies import Refused, error_reply, refusal_reply

log = logging.getLogger(__name__)


def add_error_handlers(app: FastAPI) -> None:
    """Register a handler for each kind of fault; the most specific one answers."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RelevanceError, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)


def _refused(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Refused)
    return refusal_reply(fault, path=request.url.path)


def _unavailable(request: Request, fault: Exception) -> Response:
    log.error("%s: %s", request.url.path, fault)
    message = "the service cannot answer now"
    return error_reply(503, "unavailable", message, path=request.url.path)


def _invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return error_reply(
        422, "invalid_request", str(first["msg"]), param=where, path=request.url.path
    )


def _http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code = HTTPStatus(fault.status_code).phrase.lower().replace(" ", "_")
    message = f"{request.method} {request.url.path}: {fault.detail}"
    headers = dict(fault.headers) if fault.headers else None
    return error_reply(fault.status_code, code, message, headers=headers, path=request.url.path)


def _gone(request: Request, fault: Exception) -> Response:
    return error_reply(400, "client_disconnected", "the body ended early")  # nobody reads this


def _bug(request: Request, fault: Exception) -> Response:
    message = "a fault in the service; its log says more"
    return error_reply(500, "internal", message, path=request.url.path)
