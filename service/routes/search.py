"""POST /search: the whole catalogue's best items for a query."""

from fastapi import APIRouter, Request, Response

from service.openapi import described
from service.routes.request import answer_one_of, in_experiments, service_of
from service.search import search_reply
from service.search_wire import SearchReply, SearchRequest

router = APIRouter()


@router.post(
    "/search",
    **described(
        "/search",
        SearchRequest,
        SearchReply,
        faults=(400, 401, 403, 408, 409, 413, 422, 429, 503),
    ),
)
async def search(request: Request) -> Response:
    """Find the items that answer a query best, out of the whole catalogue."""
    forms = in_experiments(request, {SearchRequest: search_reply})
    return await answer_one_of(request, forms, service_of(request).scoring)
