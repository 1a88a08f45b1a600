"""A request's query: checked, then remembered or encoded, the one way every route does it."""

from relevance.late_interaction import quantise_query
from relevance.text import normalise
from service.job import Job
from service.query_cache import EncodedQuery
from service.replies import Refused
from service.work import Stage


def encode_query(job: Job, query: str) -> EncodedQuery:
    """The encoded query; refuses one that is too long or has no token."""
    longest = job.limits.max_query_chars
    if len(query) > longest:
        message = f"query: expected at most {longest} characters, got {len(query)}"
        raise Refused(422, "query_too_long", message, param="query")
    text = normalise(query)
    known = job.snapshot.query_cache.find(text)
    if known is not None:
        job.work.cache_hits += 1
        return known
    job.work.cache_misses += 1
    with job.work.timed(Stage.ENCODE):
        return _encode(job, text)


def _encode(job: Job, text: str) -> EncodedQuery:
    snapshot = job.snapshot
    tokens = snapshot.encoder.encode(text, limit=snapshot.bundle.max_query_tokens)
    if not tokens.offsets:
        message = "query: expected at least one token, got none"
        raise Refused(422, "empty_query", message, param="query")
    encoded = EncodedQuery(text, quantise_query(tokens.vectors), tokens.offsets, tokens.truncated)
    snapshot.query_cache.keep(encoded)
    return encoded
