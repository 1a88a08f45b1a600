"""A chain of thought as it is being written, piece by piece, for whoever is waiting for it.

The same requests as `reasoning.py` makes for one answer, with their text handed on at once. What
the text is worth and whether it can be read is not known here.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from relevance.chain_of_thought import ITEM_HEADING, JUDGEMENT_HEADING
from relevance.errors import MalformedText
from teacher.online.llm.client import LanguageModel
from teacher.online.llm.prompt import Messages
from teacher.online.llm.structure import asked_aspects, item_part, query_part
from teacher.online.llm.wire import Ask, Sampling


async def stream_reasons(
    model: LanguageModel, messages: Messages, sampling: Sampling
) -> AsyncGenerator[str, None]:
    """The pieces of one answer bound to its form, up to `Final judgment:`, where log-odds are read.

    Raises `EndpointFault`, or `MalformedText` where the answer was cut off at the limit of tokens.
    Closing the iterator cancels the request.
    """
    text = ""
    async with aclosing(_stream(model, Ask(messages, sampling, regex=query_part()))) as pieces:
        async for piece in pieces:
            text += piece
            yield piece
    _check_end(text, ITEM_HEADING)
    rest = Ask(messages, sampling, begun=text, regex=item_part(asked_aspects(text)))
    async with aclosing(_stream(model, rest)) as pieces:
        async for piece in pieces:
            text += piece
            yield piece
    _check_end(text, JUDGEMENT_HEADING)


async def stream_free(
    model: LanguageModel, messages: Messages, sampling: Sampling
) -> AsyncGenerator[str, None]:
    """The pieces of one answer that nothing binds, judgement included: any endpoint can do this."""
    async with aclosing(_stream(model, Ask(messages, sampling))) as pieces:
        async for piece in pieces:
            yield piece


async def _stream(model: LanguageModel, ask: Ask) -> AsyncGenerator[str, None]:
    """`model.stream`, whose request ends with this iterator and not when it is collected."""
    async with aclosing(model.stream(ask)) as pieces:
        async for piece in pieces:
            yield piece


def _check_end(text: str, heading: str) -> None:
    if not text.rstrip("\n").endswith(heading):
        raise MalformedText(f"chain of thought: expected to end in `{heading}`", position=len(text))
