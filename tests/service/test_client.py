import httpx
import pytest

from relevance.errors import BadInput, Unavailable
from service.client import RelevanceClient
from service.explain_commands import readable
from service.schemas import InlineItem


@pytest.fixture
def typed(client) -> RelevanceClient:
    def forward(request: httpx.Request) -> httpx.Response:
        reply = client.request(request.method, request.url.path, content=request.content)
        return httpx.Response(reply.status_code, content=reply.content)

    return RelevanceClient("http://service", transport=httpx.MockTransport(forward))


def test_the_client_scores_by_id_and_inline(typed) -> None:
    inline = InlineItem(id="new", title="Steel water bottle", brand="Acme", color="red")

    with typed:
        reply = typed.score("red water bottle", ["B001", "B003"], items=[inline], top_n=2)

    assert {row.id for row in reply.results} == {"B001", "new"}
    assert reply.results[0].score == reply.results[1].score


def test_the_client_explains_the_same_pair_cached_or_sent_along(typed) -> None:
    inline = InlineItem(id="B001", title="Steel water bottle", brand="Acme", color="red")

    cached = typed.explain("red water bottle", "B001")
    sent = typed.explain_inline("red water bottle", inline)

    assert sent == cached.model_copy(update={"status": "encoded"})
    assert typed.health().generation == cached.generation


def test_a_refusal_is_bad_input_with_the_services_words(typed) -> None:
    with pytest.raises(BadInput, match="/score answered 422 empty_query: query: expected"):
        typed.score(" ", ["B001"])


def test_no_answer_or_a_strange_one_is_unavailable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    silent = RelevanceClient("http://service", transport=httpx.MockTransport(refuse))
    strange = RelevanceClient(
        "http://service", transport=httpx.MockTransport(lambda _: httpx.Response(502, text="nginx"))
    )

    with pytest.raises(Unavailable, match="http://service/health: no answer: connection refused"):
        silent.health()
    with pytest.raises(Unavailable, match="expected a ErrorReply, got 502 'nginx'"):
        strange.health()


def test_an_explanation_reads_as_lines(typed) -> None:
    lines = readable(typed.explain("steel bottle", "B001"))

    assert lines[0] == "query  steel bottle"
    assert any("bottle ~ bottle (cosine" in line for line in lines)
    assert lines[-1] == "teacher  unavailable"
    assert readable(typed.explain("steel", "B005"))[-1] == "score  none: the item has no text"
