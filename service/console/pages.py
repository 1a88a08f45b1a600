"""The console's files as they are sent: read once, revalidated by hash, under a strict policy.

The pages run only their own scripts and styles, ask only this service, and are shown in no frame.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-cache",  # ask whether it changed, every time
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file, how it is named to a browser, and a hash of its bytes."""

    content: bytes
    media_type: str
    tag: str


@cache
def pages() -> dict[str, Page]:
    """Every file of the console, by name."""
    folder = files("service.console") / "static"
    found = {}
    for file in folder.iterdir():
        media_type = MEDIA_TYPES.get("." + file.name.rpartition(".")[2])
        if media_type is not None:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
            found[file.name] = Page(content, media_type, tag)
    return found


def page_reply(request: Request, name: str) -> Response | None:
    """A file, or that it did not change; None where there is none of that name."""
    page = pages().get(name)
    if page is None:
        return None
    headers = {**HEADERS, "etag": page.tag}
    if request.headers.get("if-none-match") == page.tag:
        return Response(status_code=304, headers=headers)
    return Response(page.content, headers=headers, media_type=page.media_type)
