"""GET /: where to go from here.

A browser goes on to the console where that is on; all others read which paths tell more. Open to
everybody, because it says nothing that a reader of the documentation does not know.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from service.routes.status import described, reply
from service.wire_status import RootReply

CONSOLE = "console/"  # relative, for a proxy may show the service under a path of its own
TO_BROWSERS = {307: {"description": "A browser (`accept: text/html`) is sent to the console."}}
VARY = {"vary": "accept"}
router = APIRouter(tags=["info"])
shown = described(RootReply, faults=())


@router.get("/", **{**shown, "responses": {**shown["responses"], **TO_BROWSERS}})
async def root(request: Request) -> Response:
    """Name the paths that tell more; where the console is on, browsers are sent there."""
    has_console = hasattr(request.app.state, "console")
    if has_console and "text/html" in request.headers.get("accept", "").lower():
        return RedirectResponse(CONSOLE, status_code=307, headers=VARY)
    answer = reply(RootReply(console="/console/" if has_console else None))
    answer.headers.update(VARY)
    return answer
