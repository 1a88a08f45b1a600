"""Runs the measures one by one and returns each as plain data; drawing is `report.py`'s.

Everything is judged without signals but where a measure says otherwise.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import process_time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.baselines import token_overlap
from relevance.domain import Item
from relevance.errors import BadInput
from relevance.folds import FoldAssignment
from relevance.late_interaction import sigmoid
from relevance.metrics import calibration_error, neg_pr_auc, roc_auc, within_query_auc
from relevance.records import (
    Pair,
    find_data_set,
    read_catalogue,
    read_pairs,
    write_judgements,
    write_pairs,
)
from teacher.fit_fold import FoldData
from teacher.judge_pairs import judge_pairs, summary
from teacher.measures.ablation import ablate, compare
from teacher.measures.agreement import beside_raters, read_raters
from teacher.measures.counterfactuals import (
    Counterfactual,
    as_data_set,
    counterfactuals,
    pass_rates,
)
from teacher.measures.explanations import faithfulness, verdicts_alone
from teacher.measures.extraction import compare_extraction, read_titles
from teacher.measures.given_scores import PairKey, Scores, by_fold, files_by_name
from teacher.measures.held_out import HeldOut
from teacher.measures.ranking import TEACHER, held_out_log_odds, ranked_fold, ranking
from teacher.online import judge_file
from teacher.online.catalogue import CatalogueJudge
from teacher.signal_files import NO_TABLE, SignalTable, read_signals

Found = dict[str, object]
_DELETIONS = 10  # times the counterfactuals of a kind


def fold_of(folder: Path) -> int:
    """The fold a judge was held out of, as its file says."""
    path = folder / judge_file.FILE
    try:
        return int(json.loads(path.read_bytes())["report"]["fold"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise BadInput(
            f"{path}: expected a fold's judge from `ellm teach fit`: {fault!r}"
        ) from fault


def signals_by_fold(
    similarities: Path | None, student_scores: Sequence[Path], folds: int
) -> list[SignalTable]:
    """Each fold's signals: similarities are the same everywhere, nested scores a fold's own."""
    if not student_scores:
        return [read_signals(similarities)] * folds
    if len(student_scores) != folds:
        raise BadInput(
            f"--student-scores: expected one file for each of {folds} teachers, got "
            f"{len(student_scores)}"
        )
    return [read_signals(similarities, path) for path in student_scores]


def rankings(
    folds: Sequence[HeldOut],
    folders: Sequence[Path],
    signals: SignalTable,
    *,
    beside: Sequence[str],
) -> Found:
    """The teachers as fitted, with their signals, beside baselines and the students given."""
    given = _given_by_fold("--beside", beside, len(folds))
    ranked = [
        ranked_fold(fold, folder, signals, {name: of[at] for name, of in given.items()})
        for at, (fold, folder) in enumerate(zip(folds, folders, strict=True))
    ]
    return {"ranking": ranking(ranked)}


def explanations(folds: Sequence[HeldOut], *, of_each: int) -> Found:
    """Verdicts alone, unexplained and overruled judgements, faithfulness by deletion."""
    judged = [
        j for fold in folds for j in judge_pairs(fold.judge, fold.pairs, fold.items, NO_TABLE)
    ]
    return {
        "verdicts_alone": asdict(verdicts_alone(folds)),
        "judged": asdict(summary(judged)),
        "faithfulness": asdict(faithfulness(folds, of_each=_DELETIONS * of_each)),
    }


def counterfactual(
    folds: Sequence[HeldOut], out: Path, *, of_each: int, scores: Sequence[str]
) -> Found:
    """Pass rates of the teacher and of every student whose scores are given.

    The pairs are written to `out` as a data set, for students to score. A student comes with one
    file, or with a file for each fold, of the student that was held out of it.
    """
    cases = [case for fold in folds for case in counterfactuals(fold, of_each=of_each)]
    _write_cases(out, cases)
    judges = {fold.fold: fold.judge for fold in folds}

    def teacher(fold: int, query: str, item: Item) -> float:
        return judges[fold].judge(query, item).log_odds

    rates = {TEACHER: pass_rates(cases, teacher)}
    for name, given in _given_by_fold("--scores", scores, len(folds)).items():
        numbers = [fold.fold for fold in folds]
        rates[name] = pass_rates(cases, _Given(name, dict(zip(numbers, given, strict=True))))
    kinds = {name: {str(k): list(v) for k, v in found.items()} for name, found in rates.items()}
    return {"counterfactuals": {"cases": len(cases), "pass_rates": kinds}}


def throughput(fold: HeldOut, out: Path) -> Found:
    """Pairs judged and written a second of one processor, with items unread, then readings kept."""
    fresh = CatalogueJudge(fold.judge.lexicon, fold.judge.weights, fingerprint="fresh")
    seconds = []
    path = out / "throughput.parquet"
    for _ in range(2):
        started = process_time()
        write_judgements(path, judge_pairs(fresh, fold.pairs, fold.items, NO_TABLE))
        seconds.append(process_time() - started)
    path.unlink()
    first, again = (len(fold.pairs) / s for s in seconds)
    return {"throughput": {"pairs": len(fold.pairs), "first": first, "again": again}}


def ablation(
    folds: Sequence[HeldOut],
    pairs: Sequence[Pair],
    assignment: FoldAssignment,
    signals: Sequence[SignalTable],
) -> Found:
    """Test measures with everything and without each family; `signals` are each fold's own."""
    found = [
        ablate(FoldData(fold.items, pairs, assignment, fold.fold, table), fold.judge.reader)
        for fold, table in zip(folds, signals, strict=True)
    ]
    return {"ablation": compare(found)}


def extraction(path: Path) -> Found:
    """Micro-F1 by aspect of ours and of the exact dictionary on OA-Mine's test titles."""
    titles = read_titles(path)
    scored = compare_extraction(titles["train"], titles["test"])
    return {
        "extraction": {
            name: {
                aspect: {"f1": f.value, "precision": f.precision, "recall": f.recall, **asdict(f)}
                for aspect, f in by_aspect.items()
            }
            for name, by_aspect in scored.items()
        }
    }


def raters(prefix: Path, folders: Sequence[Path], transferred: CatalogueJudge) -> Found:
    """The rated data set's own held-out teachers, and one of another shop, beside the raters."""
    files = find_data_set(prefix)
    rated = read_raters(files.pairs)
    own: dict[PairKey, bool] = {}
    for folder in folders:
        judged = held_out_log_odds(folder, fold_of(folder))
        own |= {key: log_odds >= 0 for key, log_odds in judged.items()}
    items = {item.item_id: item for item in read_catalogue(files.items)}
    asked = [p for p in read_pairs(files.pairs) if (p.query, p.item_id) in rated]
    foreign = {
        (j.query, j.item_id): j.log_odds >= 0
        for j in judge_pairs(transferred, asked, items, NO_TABLE)
    }
    found = {"teacher of another shop": [asdict(row) for row in beside_raters(rated, foreign)]}
    if own:
        found["own teacher, held out"] = [asdict(row) for row in beside_raters(rated, own)]
    return {"raters": found}


def transfer(prefixes: Sequence[Path], judge: CatalogueJudge) -> Found:
    """How a teacher of one shop judges another's labelled pairs, unchanged."""
    return {"transfer": {prefix.name: _transferred(prefix, judge) for prefix in prefixes}}


def _transferred(prefix: Path, judge: CatalogueJudge) -> dict[str, float]:
    files = find_data_set(prefix)
    items = {item.item_id: item for item in read_catalogue(files.items)}
    pairs = read_pairs(files.pairs, labelled=True)
    good = np.array([bool(pair.good) for pair in pairs])
    judged = judge_pairs(judge, pairs, items, NO_TABLE)
    log_odds = np.array([judgement.log_odds for judgement in judged])
    overlap = np.array([token_overlap(p.query, items[p.item_id].title) for p in pairs])
    return {
        "pairs": len(pairs),
        "share_bad": float(1 - good.mean()),
        "roc_auc": roc_auc(good, log_odds),
        "neg_pr_auc": neg_pr_auc(good, log_odds),
        "within_query_auc": within_query_auc(good, log_odds, [p.query for p in pairs]),
        "calibration_error": calibration_error(good, sigmoid(log_odds)),
        "overlap_roc_auc": roc_auc(good, overlap),
        "overlap_neg_pr_auc": neg_pr_auc(good, overlap),
    }


class _Given:
    """Looks a pair's score up, among those of the student held out of the pair's fold."""

    def __init__(self, name: str, scores: Mapping[int, Scores]) -> None:
        self._name, self._scores = name, scores

    def __call__(self, fold: int, query: str, item: Item) -> float:
        scores, key = self._scores[fold], (query, item.item_id)
        if key not in scores:
            raise BadInput(f"--scores {self._name}: expected a score of {key} for fold {fold}")
        return scores[key]


def _given_by_fold(option: str, named: Sequence[str], folds: int) -> dict[str, list[Scores]]:
    return {
        name: by_fold(option, name, files, folds)
        for name, files in files_by_name(option, named).items()
    }


def _write_cases(out: Path, cases: Sequence[Counterfactual]) -> None:
    items, pairs = as_data_set(cases)
    out.mkdir(parents=True, exist_ok=True)
    rows = [
        {**asdict(item), "attributes_json": json.dumps(dict(item.attributes))} for item in items
    ]
    for row in rows:
        del row["attributes"]
    with replacing_file(out / "counterfactuals_items.parquet") as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary, compression="zstd")
    write_pairs(out / "counterfactuals_pairs.parquet", pairs)
