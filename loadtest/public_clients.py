"""Public clients of other servers' rerank APIs, unmodified, asking a service of ours.

Runs in an environment of its own (`public_clients.txt`) and imports nothing of this project. A JSON
object on standard input says the `url`, the `api_key`, the `requests` (`query`, `documents`) and
how many of them each client has `answered` already. Each line on standard output is one answer: the
client's name and its `[index, score]` rows, from the best to the worst, or its fault. What is
compared with them is `client_agreement.py`'s.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

MODEL = "any"
QUIET = {"HAYSTACK_TELEMETRY_ENABLED": "False", "DO_NOT_TRACK": "1", "ANONYMIZED_TELEMETRY": "0"}
Rows = list[tuple[int, float]]
Ask = Callable[[str, Sequence[Any]], Rows]


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is and what it is told."""

    url: str
    api_key: str


def cohere_v1(service: Service) -> Ask:
    """`cohere.Client`: POST /v1/rerank."""
    import cohere

    client = cohere.Client(api_key=service.api_key, base_url=service.url)

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        reply = client.rerank(query=query, documents=documents, model=MODEL, return_documents=True)
        for row in reply.results:
            shown, sent = row.document, documents[row.index]
            assert shown is not None
            assert not isinstance(sent, str) or shown.text == sent
        return [(row.index, row.relevance_score) for row in reply.results]

    return ask


def cohere_v2(service: Service) -> Ask:
    """`cohere.ClientV2`: POST /v2/rerank."""
    import cohere

    client = cohere.ClientV2(api_key=service.api_key, base_url=service.url)

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        reply = client.rerank(model=MODEL, query=query, documents=documents)
        assert reply.meta.billed_units.search_units == -(-len(documents) // 100)
        return [(row.index, row.relevance_score) for row in reply.results]

    return ask


def cohere_v2_async(service: Service) -> Ask:
    """`cohere.AsyncClientV2`."""
    import cohere

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        async def asked() -> Rows:
            async with cohere.AsyncClientV2(service.api_key, base_url=service.url) as client:
                reply = await client.rerank(model=MODEL, query=query, documents=documents)
            return [(row.index, row.relevance_score) for row in reply.results]

        return asyncio.run(asked())

    return ask


def langchain_cohere(service: Service) -> Ask:
    """LangChain's document compressor on Cohere's API."""
    from langchain_cohere import CohereRerank
    from langchain_core.documents import Document

    compressor = CohereRerank(
        cohere_api_key=service.api_key, base_url=service.url, model=MODEL, top_n=None
    )

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        pages = [Document(text, metadata={"at": at}) for at, text in enumerate(documents)]
        found = compressor.compress_documents(pages, query)
        return [(page.metadata["at"], page.metadata["relevance_score"]) for page in found]

    return ask


def llama_index_cohere(service: Service) -> Ask:
    """LlamaIndex's node postprocessor on Cohere's API."""
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        ranker = CohereRerank(
            top_n=len(documents), model=MODEL, api_key=service.api_key, base_url=service.url
        )
        return _of_llama_index(ranker, query, documents)

    return ask


def llama_index_tei(service: Service) -> Ask:
    """LlamaIndex's node postprocessor on TEI's API: POST /rerank."""
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        ranker = TextEmbeddingInference(
            top_n=len(documents), base_url=service.url, auth_token=f"Bearer {service.api_key}"
        )
        return _of_llama_index(ranker, query, documents)

    return ask


def haystack_cohere(service: Service) -> Ask:
    """Haystack's component on Cohere's API."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    ranker = CohereRanker(api_key=Secret.from_token(service.api_key), api_base_url=service.url)
    return _haystack(ranker)


def haystack_tei(service: Service) -> Ask:
    """Haystack's component on TEI's API."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

    ranker = HuggingFaceTEIRanker(
        url=service.url, top_k=1000, token=Secret.from_token(service.api_key), max_retries=1
    )
    return _haystack(ranker)


def haystack_jina(service: Service) -> Ask:
    """Haystack's component on Jina's API: POST /v1/rerank."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    key = Secret.from_token(service.api_key)
    return _haystack(JinaRanker(api_key=key, base_url=f"{service.url}/v1/rerank"))


def haystack_vllm(service: Service) -> Ask:
    """Haystack's component on vLLM's API: POST /v1/rerank."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.vllm import VLLMRanker

    key = Secret.from_token(service.api_key)
    return _haystack(VLLMRanker(model=MODEL, api_key=key, api_base_url=f"{service.url}/v1"))


CLIENTS: dict[str, Callable[[Service], Ask]] = {
    "cohere v1": cohere_v1,
    "cohere v2": cohere_v2,
    "cohere v2 async": cohere_v2_async,
    "langchain-cohere": langchain_cohere,
    "llama-index cohere": llama_index_cohere,
    "llama-index tei": llama_index_tei,
    "haystack cohere": haystack_cohere,
    "haystack tei": haystack_tei,
    "haystack jina": haystack_jina,
    "haystack vllm": haystack_vllm,
}
TAKE_OBJECTS = frozenset({"cohere v1", "cohere v2", "cohere v2 async"})  # documents as objects


def _of_llama_index(ranker: Any, query: str, documents: Sequence[Any]) -> Rows:
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [
        NodeWithScore(node=TextNode(text=text, id_=str(at)), score=0.0)
        for at, text in enumerate(documents)
    ]
    found = ranker.postprocess_nodes(nodes, query_str=query)
    return [(int(one.node.node_id), one.score) for one in found]


def _haystack(ranker: Any) -> Ask:
    from haystack import Document

    def ask(query: str, documents: Sequence[Any]) -> Rows:
        sent = [Document(id=str(at), content=text) for at, text in enumerate(documents)]
        found = ranker.run(query=query, documents=sent, top_k=len(sent))["documents"]
        return [(int(one.id), one.score) for one in found]

    return ask


def main() -> None:
    """Answer one question on standard input; a fault is told in its client's words."""
    os.environ.update(QUIET)
    question = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a client has to say is no answer
    service = Service(question["url"], question["api_key"])
    for name, answered in question["answered"].items():
        requests = [one for one in question["requests"] if _can_ask(name, one)][answered:]
        if not requests:  # importing a client takes seconds
            continue
        try:
            ask = CLIENTS[name](service)
            for one in requests:
                _tell(answers, name, ask(one["query"], one["documents"]))
        except Exception as fault:
            _tell(answers, name, {"fault": type(fault).__name__, "message": str(fault)})


def _can_ask(name: str, request: dict[str, Any]) -> bool:
    return name in TAKE_OBJECTS or all(isinstance(one, str) for one in request["documents"])


def _tell(answers: TextIO, name: str, answer: Any) -> None:
    answers.write(json.dumps([name, answer]) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
