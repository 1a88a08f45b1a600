"""The rows of the study's tables: which judge each is and how it is trained.

Names of ablations as in the paper (design: w/o score keeps pseudo-label cross-entropy, w/o both is
pseudo-label cross-entropy only, w/o MKD has no teacher signal at all). Which folds and seeds are
run is the plan's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from relevance.item_text import ItemText
from trainer.recipes import Adaptation, CotLoss, Recipe, ce, mkd
from trainer.settings import changed
from trainer.study.settings import StudySettings


class Table(StrEnum):
    """The paper's tables, and two of ours. The value is the heading.

    MAIN: its Table 2. COST: Table 3. ABLATION: Table 4. TAIL: Table 6. POOL: gain against the
    pool's size. CONTROL: what else might explain a gain.
    """

    MAIN = "Table 2: students and teachers"
    COST = "Table 3: parameters and milliseconds per 1,000 pairs"
    ABLATION = "Table 4: ablations of MKD-ColBERT"
    TAIL = "Table 6: head and long-tail queries"
    POOL = "Gain against the size of the pool"
    CONTROL = "Controls"


class Source(StrEnum):
    """Where a row's scores come from.

    STUDENT: one trained for the cell. OVERLAP, BM25: the words alone. TEACHER: its judgements.
    """

    STUDENT = "student"
    OVERLAP = "overlap"
    BM25 = "bm25"
    TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class Row:
    """One judge. `folds` and `seeds` are how many of each the full study wants.

    `pool_pairs` bounds the pool (None: all of it). `taught_by` names the row whose students judge
    the pool in the teacher's place, the mean of `ensemble` seeds. Where there is a `search`, each
    of its changes to the recipe (as `name=value`) is trained, and inner validation chooses. With an
    `adaptation` the encoder is adapted to the pool's texts first. `teacher` is the folder within
    the fold's that another teacher's judgements lie in.
    """

    name: str
    tables: tuple[Table, ...]
    folds: int
    seeds: int = 1
    source: Source = Source.STUDENT
    recipe: Recipe | None = None
    pool_pairs: int | None = None
    taught_by: str | None = None
    ensemble: int = 1
    search: tuple[tuple[str, ...], ...] = ()
    adaptation: Adaptation | None = None
    teacher: str = ""

    @property
    def needs_teacher(self) -> bool:
        """Whether the fold's teacher must have judged pool and labelled pairs."""
        learns = self.recipe is not None and self.recipe.uses_teacher
        return self.source is Source.TEACHER or learns


BASELINE, MKD = "ColBERT", "MKD-ColBERT"
BASELINE_STEPS, UNTUNED = "ColBERT, as many steps as MKD", "ColBERT, untuned"
ADAPTED, TITLE_ONLY = "ColBERT, adapted to the texts", "MKD-ColBERT, title-only teacher"
TITLE_ONLY_FOLDER = "title_only"
POOL_SIZES = (0, 5_000, 20_000, 50_000, 100_000)
QUICK = (MKD, "w/o score", "w/o CoT", "w/o both", BASELINE)


def study_rows(
    *, steps: int | None = None, settings: StudySettings | None = None
) -> dict[str, Row]:
    """Every row by name, in the tables' order; `steps` replaces the recipes' own number."""
    chosen = settings or StudySettings()
    plain, full = changed(ce(), chosen.plain), changed(mkd(), chosen.taught)
    if steps is not None:
        plain, full = replace(plain, steps=steps), replace(full, steps=steps)
    rows = (*_lexical(), *_students(plain, full), *_ablations(full), *_pools(full))
    rows = (*rows, *_baselines(plain, full, chosen), *_controls(plain, full))
    searched = {
        BASELINE: chosen.plain_search,
        BASELINE_STEPS: tuple(
            tried for tried in chosen.plain_search if changed(plain, tried).steps == full.steps
        ),
        UNTUNED: (chosen.untuned,),
        MKD: chosen.taught_search,
    }
    return {row.name: replace(row, search=searched.get(row.name, ())) for row in rows}


def quick_rows(rows: Mapping[str, Row]) -> dict[str, Row]:
    """The ColBERT rows of Table 4 alone: two folds, one seed."""
    return {name: replace(rows[name], folds=2, seeds=1) for name in QUICK}


def _lexical() -> tuple[Row, ...]:
    return (
        Row("token overlap", (Table.MAIN,), 5, source=Source.OVERLAP),
        Row("BM25", (Table.MAIN,), 5, source=Source.BM25),
    )


def _students(plain: Recipe, full: Recipe) -> tuple[Row, ...]:
    both = (Table.MAIN, Table.COST)
    main = (*both, Table.ABLATION, Table.TAIL)
    tagged = {"student": "bert", "cot": CotLoss.TAGGING, "lambda_cot": 0.1}
    return (
        Row("Sentence-BERT", both, 2, recipe=replace(plain, student="sentence_bert")),
        Row("Poly-Encoder", both, 2, recipe=replace(plain, student="poly_encoder")),
        Row(BASELINE, (*main, Table.POOL, Table.CONTROL), 5, 3, recipe=plain),
        Row(
            "ReprBERT",
            both,
            2,
            recipe=replace(full, student="reprbert", lambda_cot=0.0),
            taught_by="BERT",
        ),
        Row("BERT", both, 2, recipe=replace(plain, student="bert")),
        Row("teacher", (Table.MAIN, Table.TAIL), 5, source=Source.TEACHER),
        Row("MKD-Sentence-BERT", both, 2, recipe=replace(full, student="sentence_bert")),
        Row("MKD-Poly-Encoder", both, 2, recipe=replace(full, student="poly_encoder")),
        Row(MKD, (*main, Table.POOL, Table.CONTROL), 5, 3, recipe=full),
        Row("MKD-BERT", both, 2, recipe=replace(full, **tagged)),  # type: ignore[arg-type]
    )


def _ablations(full: Recipe) -> tuple[Row, ...]:
    where = (Table.ABLATION,)
    return (
        Row("w/o score", where, 3, recipe=replace(full, lambda_score=0.0)),
        Row("w/o CoT", where, 3, recipe=replace(full, lambda_cot=0.0)),
        Row("w/o both", where, 3, recipe=replace(full, lambda_score=0.0, lambda_cot=0.0)),
    )


def _pools(full: Recipe) -> tuple[Row, ...]:
    return tuple(
        Row(
            f"MKD-ColBERT, pool {size:,}",
            (Table.POOL,),
            2,
            recipe=full if size else replace(full, pseudo_blocks=0, human_share=1.0),
            pool_pairs=size,
        )
        for size in POOL_SIZES
    )


def _baselines(plain: Recipe, full: Recipe, settings: StudySettings) -> list[Row]:
    """With MKD's number of steps, whatever its own search prefers; and, if named, untuned."""
    where, same = (Table.CONTROL,), replace(plain, steps=full.steps)
    longer = Row(BASELINE_STEPS, where, 5, 3, recipe=same)
    if not settings.untuned:
        return [longer]
    return [longer, Row(UNTUNED, where, 5, recipe=plain)]


def _controls(plain: Recipe, full: Recipe) -> tuple[Row, ...]:
    where, richer = (Table.CONTROL,), ItemText.TITLE_BRAND_COLOR
    aligned = replace(full, lambda_aligned=0.3)
    return (
        Row("ColBERT, richer item text", where, 2, recipe=replace(plain, item_text=richer)),
        Row("MKD-ColBERT, richer item text", where, 2, recipe=replace(full, item_text=richer)),
        Row(ADAPTED, where, 2, recipe=plain, adaptation=_adaptation(plain, full)),
        Row("title-only teacher", where, 2, source=Source.TEACHER, teacher=TITLE_ONLY_FOLDER),
        Row(TITLE_ONLY, where, 2, recipe=full, teacher=TITLE_ONLY_FOLDER),
        Row(
            "MKD-ColBERT, taught by three ColBERTs",
            where,
            2,
            recipe=replace(full, lambda_cot=0.0),
            taught_by=BASELINE,
            ensemble=3,
        ),
        Row(
            "MKD-ColBERT, taught by MKD-BERT",
            where,
            2,
            recipe=replace(full, lambda_cot=0.0),
            taught_by="MKD-BERT",
        ),
        Row("MKD-ColBERT, aspect-aligned", where, 2, recipe=aligned),
        Row("MKD-ColBERT, listwise", where, 2, recipe=replace(full, lambda_listwise=0.5)),
        Row("MKD-ColBERT, learned scorer", where, 2, recipe=replace(full, student="lite")),
        Row("MKD-ColBERT, averaged", where, 2, recipe=replace(full, averaged=3)),
        Row("MKD-ColBERT, heads 96, 64, 32", where, 2, recipe=replace(full, heads=(96, 64, 32))),
    )


def _adaptation(plain: Recipe, full: Recipe) -> Adaptation:
    """About as dear as one training of MKD: as many steps, in each about as many tokens.

    One of its steps meets some 20 queries and 70 items, one that adapts 64 texts and a part of
    each. Lengths are those of the students that follow.
    """
    return Adaptation(
        steps=full.steps,
        query_tokens=plain.query_tokens,
        item_tokens=plain.item_tokens,
        item_text=plain.item_text,
    )
