"""The study's tables in Markdown, made from finished cells alone; what was not run stays empty."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from relevance.bootstrap import Interval, Statistic
from relevance.metrics import neg_pr_auc, roc_auc
from trainer.study.cells import CellResult
from trainer.study.differences import row_difference
from trainer.study.rows import BASELINE, MKD, Row, Table
from trainer.study.slices import Keys, restricted_rows
from trainer.study.truncation import CUT, SHARES, WHOLE

EMPTY = ""
TAUGHT = "MKD-"  # how the names of taught students begin
MEASURES: Mapping[str, Statistic] = {"roc_auc": roc_auc, "neg_pr_auc": neg_pr_auc}
QUICK_NOTE = (
    "A quick run: two folds, one seed. Its intervals are no evidence for or against anything."
)

Results = Mapping[str, Sequence[CellResult]]
Cells = tuple[str, ...]


def render_tables(
    rows: Mapping[str, Row],
    finished: Iterable[CellResult],
    *,
    dataset: str,
    quick: bool = False,
    slices: Mapping[str, Keys] | None = None,
) -> str:
    """One Markdown page: every table with every row, empty where no cell is finished.

    `slices` are the pairs of each slice by name; their table has the rows that were run alone.
    """
    by_row: dict[str, list[CellResult]] = {name: [] for name in rows}
    for result in finished:
        by_row[result.cell.row.name].append(result)
    parts = [f"# Study: {dataset}", *([QUICK_NOTE] if quick else []), _base_rate(by_row)]
    for table in Table:
        members = {name: row for name, row in rows.items() if table in row.tables}
        if members:
            parts += [f"## {table}", RENDERERS[table](members, by_row)]
    if added := _added(by_row):
        parts += ["## What MKD adds to each student", added]
    if slices and any(by_row.values()):
        parts += ["## Slices of queries", _sliced(rows, by_row, slices)]
    if any(SHARES in result.slices for results in by_row.values() for result in results):
        parts += ["## Cut texts", _cut_texts(by_row)]
    return "\n\n".join(parts) + "\n"


def share_closed(gain: Interval | None, lead: Interval | None) -> float | None:
    """Which share of the teacher's lead over the baseline is gained; None without a lead."""
    if gain is None or lead is None or lead.value <= 0:
        return None
    return gain.value / lead.value


def _base_rate(by_row: Results) -> str:
    shares = [r.measures["share_bad"] for results in by_row.values() for r in results]
    if not shares:
        return "No cell has been run yet."
    return (
        f"Share of Bad pairs: {100 * np.mean(shares):.1f} %, which is the Neg PR-AUC of a judge "
        f"that knows nothing. AUCs are in percent; gains are over `{BASELINE}`, with 95 % "
        "intervals over queries, on the folds and seeds that both rows have."
    )


def _quality(members: Mapping[str, Row], by_row: Results) -> str:
    head = ("row", "folds × seeds", "ROC-AUC", "Neg PR-AUC", "within-query", "nDCG",
            "calibration error", "ROC-AUC gain", "Neg PR-AUC gain")  # fmt: skip
    body = [
        (
            name,
            _extent(by_row[name]),
            *(
                _percent(by_row[name], measure)
                for measure in (
                    "roc_auc", "neg_pr_auc", "within_query_auc", "ndcg", "calibration_error",
                )
            ),
            *(_gain(by_row, name, statistic) for statistic in MEASURES.values()),
        )
        for name in members
    ]  # fmt: skip
    return f"{_markdown(head, body)}{_closed(by_row)}"


def _added(by_row: Results) -> str:
    """Each student that was taught, minus the same one on human labels alone, where both ran."""
    head = ("student", "ROC-AUC gain", "Neg PR-AUC gain")
    taught = {name.removeprefix(TAUGHT): name for name in by_row if name.startswith(TAUGHT)}
    body = [
        (student, *(_gain(by_row, name, one, over=student) for one in MEASURES.values()))
        for student, name in taught.items()
        if by_row[name] and by_row.get(student)
    ]
    return _markdown(head, body) if body else EMPTY


def _closed(by_row: Results) -> str:
    """The share of the teacher's lead that MKD closes, where all three were run."""
    if not all(by_row.get(name) for name in (MKD, BASELINE, "teacher")):
        return ""
    said = []
    for name, statistic in MEASURES.items():
        gain, lead = (
            row_difference(by_row[row], by_row[BASELINE], statistic) for row in (MKD, "teacher")
        )
        share = share_closed(gain, lead)
        label = {"roc_auc": "ROC-AUC", "neg_pr_auc": "Neg PR-AUC"}[name]
        said.append(f"{label} {'–' if share is None else f'{100 * share:.0f} %'}")
    return (
        f"\n\nShare of the teacher's lead over `{BASELINE}` that `{MKD}` closes: {', '.join(said)}."
    )


def _costs(members: Mapping[str, Row], by_row: Results) -> str:
    head = ("row", "parameters", "training ms", "inference ms", "with cached items ms", "device")
    body = []
    for name in members:
        found = [result.cost for result in by_row[name] if result.cost]
        body.append(
            (
                name,
                *(_mean_cost(found, key) for key in ("parameters", "training_ms", "ms")),
                _mean_cost(found, "cached_ms"),
                ", ".join(sorted({f"{c['device']} ({c['machine']})" for c in found})),
            )
        )
    return _markdown(head, body)


def _tails(members: Mapping[str, Row], by_row: Results) -> str:
    head = ("row", "head ROC-AUC", "head Neg PR-AUC", "tail ROC-AUC", "tail Neg PR-AUC")
    body = [
        (
            name,
            *(
                _slice_mean(by_row[name], part, m)
                for part in ("head", "long tail")
                for m in MEASURES
            ),
        )
        for name in members
    ]
    return _markdown(head, body)


def _cut_texts(by_row: Results) -> str:
    """Rows whose cells tell it: how much is cut at their lengths, and both AUCs with and without.

    Cells of before told nothing of it and are passed over.
    """
    head = ("row", "cut queries", "cut items", "cut pairs", "cut: ROC-AUC", "cut: Neg PR-AUC",
            "whole: ROC-AUC", "whole: Neg PR-AUC")  # fmt: skip
    columns = [
        *((SHARES, share) for share in ("queries", "items", "pairs")),
        *((part, measure) for part in (CUT, WHOLE) for measure in MEASURES),
    ]
    told = {
        name: [result for result in results if SHARES in result.slices]
        for name, results in by_row.items()
    }
    body = [
        (name, *(_slice_mean(results, part, measure) for part, measure in columns))
        for name, results in told.items()
        if results
    ]
    return (
        "A pair is cut where its query or its item has more tokens than the row's student reads; "
        f"all in percent, means over the row's cells that tell it.\n\n{_markdown(head, body)}"
    )


def _slice_mean(results: Sequence[CellResult], part: str, measure: str) -> str:
    return _mean_text([100 * r.slices[part][measure] for r in results if part in r.slices])


def _sliced(rows: Mapping[str, Row], by_row: Results, slices: Mapping[str, Keys]) -> str:
    head = ("slice", "row", "pairs", "ROC-AUC", "Neg PR-AUC", "ROC-AUC gain", "Neg PR-AUC gain")
    body = []
    for part, keys in slices.items():
        within = restricted_rows(by_row, keys)
        body += [
            (
                part,
                name,
                f"{sum(r.measures['pairs'] for r in within[name] if r.cell.seed == 0):,.0f}",
                *(_percent(within[name], measure) for measure in MEASURES),
                *(_gain(within, name, statistic) for statistic in MEASURES.values()),
            )
            for name in rows
            if within[name]
        ]
    return _markdown(head, body)


RENDERERS: Mapping[Table, Callable[[Mapping[str, Row], Results], str]] = {
    Table.MAIN: _quality,
    Table.COST: _costs,
    Table.ABLATION: _quality,
    Table.TAIL: _tails,
    Table.POOL: _quality,
    Table.CONTROL: _quality,
}


def _gain(by_row: Results, name: str, statistic: Statistic, *, over: str = BASELINE) -> str:
    if name == over or not by_row[name] or not by_row.get(over):
        return EMPTY
    found = row_difference(by_row[name], by_row[over], statistic)
    if found is None or np.isnan(found.value):
        return EMPTY
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def _extent(results: Sequence[CellResult]) -> str:
    """How many folds and seeds a row's figures are the mean of."""
    if not results:
        return EMPTY
    folds, seeds = ({getattr(r.cell, part) for r in results} for part in ("fold", "seed"))
    whole = len(folds) * len(seeds) == len(results)
    return f"{len(folds)} × {len(seeds)}" if whole else f"{len(results)} cells"


def _percent(results: Sequence[CellResult], measure: str) -> str:
    return _mean_text([100 * r.measures[measure] for r in results if measure in r.measures])


def _mean_cost(costs: Sequence[Mapping[str, object]], key: str) -> str:
    values = [float(str(cost[key])) for cost in costs if cost.get(key) is not None]
    return f"{np.mean(values):,.0f}" if values else EMPTY


def _mean_text(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f}" if values else EMPTY


def _markdown(head: Cells, body: Iterable[Cells]) -> str:
    lines = [head, tuple("---" for _ in head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
