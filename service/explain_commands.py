"""`ellm explain`: ask a running service why a pair scores as it does, and print it readably."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # importing this module must stay cheap: every `ellm --help` does it
    from service.client_events import ExplainEvent
    from service.explain_wire import ExplainReply

app = typer.Typer(help="Ask a running service why a pair scores as it does.")


@app.callback(invoke_without_command=True)
def explain_command(
    query: str = typer.Option(..., help="What the shopper typed."),
    item_id: str = typer.Option(..., help="An item of the catalogue."),
    url: str = typer.Option("http://127.0.0.1:8080", help="Where the service listens."),
    stream: bool = typer.Option(False, help="Show a language model's text as it is written."),
) -> None:
    """Ask a running service why a pair scores as it does."""
    from service.client import RelevanceClient

    with RelevanceClient(url) as client:
        if stream:
            reply = last_of(
                client.explain_stream(query, item_id), say=partial(typer.echo, nl=False)
            )
        else:
            reply = client.explain(query, item_id)
    for line in readable(reply):
        typer.echo(line)


def last_of(events: "Iterable[ExplainEvent]", *, say: Callable[[str], object]) -> "ExplainReply":
    """The whole reply, after all text before it was said."""
    from service.explain_wire import ExplainReply

    reply, has_said = None, False
    for event in events:
        if isinstance(event, ExplainReply):
            reply = event
        else:
            say(event.text)
            has_said = True
    if has_said:
        say("\n\n")
    assert reply is not None  # else the client had raised
    return reply


def readable(reply: "ExplainReply") -> list[str]:
    """An explanation as lines of text."""
    lines = [f"query  {reply.query}", f"item   {reply.id}: {reply.item_text}"]
    if reply.score is None:
        return [*lines, "score  none: the item has no text"]
    lines += [f"score  {reply.score:.3f} {reply.label}", ""]
    lines += [
        f"{c.contribution:+8.3f}  {c.token} ~ {c.best.token} (cosine {c.cosine:.2f})"
        for c in reply.contributions
    ]
    lines += [f"{reply.bias:+8.3f}  bias", f"{reply.logit:+8.3f}  logit", ""]
    return lines + _teacher_lines(reply)


def _teacher_lines(reply: "ExplainReply") -> list[str]:
    teacher = reply.teacher
    if teacher.judge is None:
        return [f"teacher  {teacher.state}"]
    thought = (reply.chain_of_thought or "").splitlines()
    score = "" if teacher.score is None else f"{teacher.score:.3f} "
    lines = [f"teacher  {teacher.judge}: {score}{teacher.label}", *thought]
    return lines if teacher.state == "ok" else [f"first teacher  {teacher.state}", *lines]
