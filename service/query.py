"""A request's query: checked, encoded and quantised the one way every route does it."""

from dataclasses import dataclass

from relevance.late_interaction import QuantisedQuery, quantise_query
from relevance.text import normalise
from service.replies import Refused
from service.serving import Serving


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A normalised query, its int8 tokens and where they lie in it."""

    text: str
    tokens: QuantisedQuery
    offsets: tuple[tuple[int, int], ...]
    truncated: bool


def encode_query(serving: Serving, query: str) -> EncodedQuery:
    """Encode a query; refuses one that is too long or has no token."""
    longest = serving.settings.max_query_chars
    if len(query) > longest:
        message = f"query: expected at most {longest} characters, got {len(query)}"
        raise Refused(422, "query_too_long", message, param="query")
    text = normalise(query)
    tokens = serving.encoder.encode(text, limit=serving.bundle.max_query_tokens)
    if not tokens.offsets:
        message = "query: expected at least one token, got none"
        raise Refused(422, "empty_query", message, param="query")
    return EncodedQuery(text, quantise_query(tokens.vectors), tokens.offsets, tokens.truncated)
