"""The throughput-latency curve of a search for capacity, as table and plot."""

from loadtest.capacity import Search
from loadtest.figures import Line, Plot
from loadtest.slo import Slo
from loadtest.stretch import Stretch
from loadtest.tables import table

STAGES = ("queue", "parse", "encode", "fetch", "score", "serialise")
HEADER = (
    "asked/s", "answered/s", "p50 ms", "p99 ms", "closed-loop p99", "refused", "failed",
    "server CPU", "client CPU", "all CPUs",
)  # fmt: skip
STAGE_HEADER = tuple(f"{stage} ms" for stage in STAGES)


def capacity_table(search: Search, slo: Slo) -> str:
    """Every rate tried, from the lowest; the server's own mean stage times stand at the right."""
    rows = sorted(search.tried, key=lambda one: one.per_second)
    best = "none" if search.best is None else f"{search.best.per_second:.1f} requests/s"
    lines = [
        f"Highest rate with p99 at most {slo.p99_ms:g} ms: {best}",
        "",
        table(
            (*HEADER, *STAGE_HEADER, ""),
            [(*stretch_row(one), *stage_row(one), _verdict(one, slo)) for one in rows],
        ),
    ]
    return "\n".join(lines)


def stretch_row(one: Stretch) -> tuple[str, ...]:
    """One stretch under `HEADER`."""
    return (
        f"{one.per_second:.1f}",
        f"{one.answered_per_second:.1f}",
        f"{one.times.p50:.2f}",
        f"{one.times.p99:.2f}",
        f"{one.times.closed_p99:.2f}",
        f"{one.refused / one.sent:.2%}",
        f"{one.failed}",
        f"{one.server_cpu:.0%}",
        f"{one.client_cpu:.0%}",
        f"{one.machine_cpu:.0%}",
    )


def stage_row(one: Stretch) -> tuple[str, ...]:
    """The server's own means of one stretch under `STAGE_HEADER`."""
    return tuple(f"{one.stage_ms.get(stage, 0.0):.2f}" for stage in STAGES)


def capacity_plot(search: Search, slo: Slo, candidates: str) -> Plot:
    """p50 and p99 against the rate answered."""
    rows = sorted(search.tried, key=lambda one: one.per_second)
    rates = [one.answered_per_second for one in rows]
    limited = [one for one in rows if one.client_limited]
    mark = (limited[0].answered_per_second, "client-limited from here") if limited else None
    return Plot(
        title=f"Throughput and latency, {candidates} candidates a request",
        x_label="requests answered a second",
        y_label="milliseconds from when due",
        lines=[
            Line("p50", rates, [one.times.p50 for one in rows]),
            Line("p99", rates, [one.times.p99 for one in rows]),
            Line("server's own stages, mean", rates, [_own(one) for one in rows]),
        ],
        level=(slo.p99_ms, "SLO, p99"),
        mark=mark,
        log_x=False,
    )


def _own(one: Stretch) -> float:
    return sum(one.stage_ms.values()) or float("nan")


def _verdict(one: Stretch, slo: Slo) -> str:
    limited = " (client-limited)" if one.client_limited else ""
    return ("holds" if slo.held(one) else "does not hold") + limited
