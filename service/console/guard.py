"""Keeps other sites' pages from using the console through a browser that may.

Who may at all is `service.access`'s: a key of scope `console`, or being on this very machine. The
latter is what a hostile page could borrow, by sending requests across sites or by giving its own
name this machine's address (DNS rebinding).
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from service.replies import Refused

OWN_SITES = frozenset({"same-origin", "none"})
KEY_HEADERS = ("x-api-key", "authorization")


def check_site(request: Request) -> None:
    """Refuse (403) what a browser sent for another site's page."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    is_foreign = origin is not None and urlsplit(origin).netloc != host
    if site not in OWN_SITES or is_foreign:
        raise Refused(403, "cross_site", "the console answers its own pages only")
    shows_key = any(name in request.headers for name in KEY_HEADERS)
    if not shows_key and not _is_this_machine(host):
        message = f"without a key the console answers on a loopback address only, got `{host:.80}`"
        raise Refused(403, "foreign_host", message)


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
