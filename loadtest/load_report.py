"""The page a load run leaves: verdict, phases, what each kind of request took, where to look on."""

from collections.abc import Sequence
from html import escape

from loadtest.curves import HEADER, STAGE_HEADER, stage_row, stretch_row
from loadtest.load_run import LoadResult
from loadtest.machine import Machine
from loadtest.slo import Slo
from loadtest.stretch import Stretch

CSS = """
:root { color-scheme: light dark; --line: #8886; --bad: #b4331c; --good: #0f766f }
@media (prefers-color-scheme: dark) { :root { --bad: #ff9d86; --good: #6fd8c6 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; white-space: nowrap }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
td { font-variant-numeric: tabular-nums } .word { text-align: left }
.bad { color: var(--bad) } .good { color: var(--good) } footer { opacity: .75; font-size: 13px }
"""
KIND_HEADER = ("phase", "kind", "answered", "p50 ms", "p90 ms", "p99 ms", "longest ms")


def report(result: LoadResult, slo: Slo, machine: Machine, command: str) -> str:
    """The whole page; nothing in it comes from elsewhere than this run."""
    rows = [(one.name, _verdict(one, slo), *stretch_row(one)) for one in result.stretches]
    stages = [(one.name, *stage_row(one)) for one in result.stretches]
    kinds = [row for one in result.stretches for row in _kind_rows(one)]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Load test</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{CSS}</style><h1>Load test</h1>",
            _summary(result, slo),
            "<h2>Phases</h2><p>Times of the open-loop client, from when a request was due; "
            "<em>closed-loop p99</em> is what a client that waits for its answers would have "
            "shown. CPU shares of server and client are of one CPU. Above 70 % of all CPUs a row "
            "is <em>client-limited</em>: load, server and whatever else ran took them from each "
            "other.</p>",
            _table(("phase", "SLO", *HEADER), rows, words=2),
            "<h2>Where the server’s time went</h2><p>Its own mean of each stage, over the "
            "requests that went through it.</p>",
            _table(("phase", *STAGE_HEADER), stages, words=1),
            "<h2>Kinds of request</h2>",
            _table(KIND_HEADER, kinds, words=2),
            '<p>The closed loop beside it: <a href="locust.html">locust’s own report</a>.</p>',
            f"<footer>{escape(str(machine))}<br><code>{escape(command)}</code></footer>",
        ]
    )


def _summary(result: LoadResult, slo: Slo) -> str:
    bounds = f"p99 at most {slo.p99_ms:g} ms, {slo.failed:.1%} failed, {slo.refused:.1%} refused"
    if not result.faults:
        return f'<p class="good"><strong>Held</strong>: {bounds}.</p>'
    listed = "".join(f"<li>{escape(fault)}</li>" for fault in result.faults)
    return f'<p class="bad"><strong>Not held</strong>: {bounds}.</p><ul class="bad">{listed}</ul>'


def _verdict(one: Stretch, slo: Slo) -> str:
    limited = ", client-limited" if one.client_limited else ""
    return ("held" if slo.held(one) else "not held") + limited


def _kind_rows(one: Stretch) -> list[tuple[str, ...]]:
    return [
        (one.name, kind, f"{t.count:,}", *(f"{ms:.1f}" for ms in (t.p50, t.p90, t.p99, t.most)))
        for kind, t in sorted(one.by_kind.items())
    ]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int) -> str:
    """The first `words` columns are words and stand at the left, the others numbers."""
    head = _row("th", header, words)
    body = "".join(_row("td", row, words) for row in rows)
    return f'<div class="wide"><table>{head}{body}</table></div>'


def _row(tag: str, cells: Sequence[str], words: int) -> str:
    shown = (
        f"<{tag}{' class=word' if at < words else ''}>{escape(cell)}</{tag}>"
        for at, cell in enumerate(cells)
    )
    return f"<tr>{''.join(shown)}</tr>"
