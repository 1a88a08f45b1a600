"""The demo's steps for one data set: which command reads and writes which file.

How steps are run stands in `steps.py`; what happens while the service is up, in `live.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relevance.demo.steps import Step

SHOP_SEED = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Where one data set's demo lies, into how many folds it is split and which of them are run.

    `max_queries` bounds the unlabelled queries of the pool (0: all), `block_queries` says how many
    alike queries share their candidates. Both students get the same `steps` and the same search:
    each is trained once at every rate of `rates`, and the inner validation part chooses. Without
    rates, each is trained once at its recipe's own. `pool_options` say how MKD uses the pool.
    """

    folder: Path
    data: Path
    inputs: tuple[Path, ...]
    of_folds: int
    folds: tuple[int, ...]
    max_queries: int
    block_queries: int
    steps: int
    rates: tuple[float, ...]
    pool_options: tuple[str, ...]

    @property
    def folds_file(self) -> Path:
        """Which query is in which fold."""
        return self.folder / "folds.parquet"

    @property
    def pool(self) -> Path:
        """Unlabelled candidate pairs of every query, before any fold holds some out."""
        return self.folder / "pool.parquet"

    @property
    def similarities(self) -> Path:
        """Zero-shot similarities of labelled and unlabelled pairs."""
        return self.folder / "similarities.parquet"

    @property
    def gate(self) -> Path:
        """What the gate found: teacher against cross-entropy-only students."""
        return self.folder / "gate.json"

    @property
    def store(self) -> Path:
        """The store the service opens."""
        return self.folder / "store"

    @property
    def bundle(self) -> Path:
        """The exported MKD student of the first fold run."""
        return self.folder / "bundle"

    def fold(self, fold: int) -> Path:
        """The folder of one fold's teacher and students."""
        return self.folder / f"fold{fold}"

    def judge(self, fold: int) -> Path:
        """The teacher fitted on one fold's training part."""
        return self.fold(fold) / "teacher"

    @property
    def served_fold(self) -> int:
        """The fold whose student is served."""
        return self.folds[0]


def shop_step(folder: Path, sizes: Sequence[str]) -> Step:
    """Make the sample shop under `folder`."""
    prefix = folder / "shop"
    outputs = tuple(Path(f"{prefix}_{name}.parquet") for name in ("items", "pairs", "gold"))
    words = ("data", "sample-shop", "--out", str(folder), "--seed", str(SHOP_SEED), *sizes)
    return Step("shop", "make the sample shop", words, (), outputs, ("relevance",))


def training_steps(plan: Plan) -> list[Step]:
    """From the data set to every fold's students and their scores on its test part.

    Nothing is distilled before the teacher stood beside the students that it would teach.
    """
    steps = [_folds(plan), _pool(plan)]
    for fold in plan.folds:
        steps += [_teacher(plan, fold), *_searched_student(plan, fold, "ce")]
        steps += [_scores(plan, fold, "ce")]
    steps += [_gate(plan)]
    for fold in plan.folds:
        steps += [_hold_out(plan, fold), _judge(plan, fold)]
        steps += [*_searched_student(plan, fold, "mkd"), _scores(plan, fold, "mkd")]
    return steps


def serving_steps(plan: Plan) -> list[Step]:
    """From the served fold's MKD student to a published generation."""
    checkpoint = plan.fold(plan.served_fold) / "mkd"
    export = (
        *("export", "--checkpoint", checkpoint, "--data", plan.data, "--folds", plan.folds_file),
        *("--fold", plan.served_fold, "--out", plan.bundle),
    )
    items = plan.inputs[0]
    refresh = ("refresh", "--bundle", plan.bundle, "--items", items, "--store", plan.store)
    return [
        Step(
            "export",
            "export the MKD student to ONNX",
            _words(export),
            (checkpoint, plan.folds_file, *plan.inputs),
            (plan.bundle,),
            ("relevance", "exporter", "trainer"),
        ),
        Step(
            "refresh",
            "precache item token embeddings",
            _words(refresh),
            (plan.bundle, items),
            (plan.store / "CURRENT",),
            ("relevance", "service"),
        ),
    ]


def _folds(plan: Plan) -> Step:
    words = (
        *("data", "folds", "--data", plan.data, "--folds", plan.of_folds),
        *("--out", plan.folds_file),
    )
    return Step(
        "folds",
        "split queries into folds",
        _words(words),
        plan.inputs,
        (plan.folds_file,),
        ("relevance",),
    )


def _pool(plan: Plan) -> Step:
    words = (
        *("train", "pool", "--data", plan.data, "--pairs", plan.pool),
        *("--similarities", plan.similarities, "--max-queries", plan.max_queries),
        *("--block-queries", plan.block_queries),
    )
    return Step(
        "pool",
        "draw unlabelled pairs and measure zero-shot similarities",
        _words(words),
        plan.inputs,
        (plan.pool, plan.similarities),
        ("relevance", "trainer"),
    )


def _teacher(plan: Plan, fold: int) -> Step:
    words = (
        *("teach", "fit", "--data", plan.data, "--folds", plan.folds_file, "--fold", fold),
        *("--similarities", plan.similarities, "--out", plan.judge(fold)),
    )
    return Step(
        f"fold{fold}-teacher",
        f"fold {fold}: fit the catalogue teacher and judge the labelled pairs",
        _words(words),
        (plan.folds_file, plan.similarities, *plan.inputs),
        (plan.judge(fold),),
        ("relevance", "teacher"),
    )


def _hold_out(plan: Plan, fold: int) -> Step:
    out = plan.fold(fold) / "pool.parquet"
    words = (
        *("data", "hold-out", "--data", plan.data, "--folds", plan.folds_file),
        *("--fold", fold, "--pairs", plan.pool, "--out", out),
    )
    return Step(
        f"fold{fold}-hold-out",
        f"fold {fold}: keep held-out queries and items out of the pool",
        _words(words),
        (plan.folds_file, plan.pool, *plan.inputs),
        (out,),
        ("relevance",),
    )


def _judge(plan: Plan, fold: int) -> Step:
    pool, out = plan.fold(fold) / "pool.parquet", plan.fold(fold) / "pool_judgements.parquet"
    words = (
        *("teach", "judge", "--judge", plan.judge(fold), "--items", plan.inputs[0]),
        *("--pairs", pool, "--similarities", plan.similarities, "--out", out),
    )
    return Step(
        f"fold{fold}-judge",
        f"fold {fold}: the teacher judges the pool",
        _words(words),
        (plan.judge(fold), pool, plan.similarities, plan.inputs[0]),
        (out,),
        ("relevance", "teacher"),
    )


def _searched_student(plan: Plan, fold: int, recipe: str) -> list[Step]:
    """Train at each rate of the plan and choose, or train once where there is no search."""
    checkpoint = plan.fold(fold) / recipe
    if not plan.rates:
        return [_student(plan, fold, recipe, out=checkpoint)]
    runs = {rate: plan.fold(fold) / f"{recipe}_runs" / f"rate-{rate:g}" for rate in plan.rates}
    trained = [_student(plan, fold, recipe, out=out, rate=rate) for rate, out in runs.items()]
    named = [word for run in runs.values() for word in ("--run", run)]
    choose = Step(
        f"fold{fold}-{recipe}",
        f"fold {fold}: choose the rate on the inner validation part",
        _words(("train", "choose", *named, "--out", checkpoint)),
        tuple(runs.values()),
        (checkpoint,),
        ("relevance", "trainer"),
    )
    return [*trained, choose]


def _student(plan: Plan, fold: int, recipe: str, *, out: Path, rate: float | None = None) -> Step:
    folder = plan.fold(fold)
    pool, pseudo = folder / "pool.parquet", folder / "pool_judgements.parquet"
    labelled = plan.judge(fold) / "judgements.parquet"
    words: tuple[object, ...] = (
        *("train", "student", "--data", plan.data, "--folds", plan.folds_file, "--fold", fold),
        *("--recipe", recipe, "--steps", plan.steps, "--out", out),
    )
    taught = recipe != "ce"
    if rate is not None:
        words += ("--learning-rate", rate)
    if taught:
        words += ("--pool", pool, "--judgements", pseudo, "--judgements", labelled)
        words += plan.pool_options
    what = "with MKD" if taught else "on human labels alone"
    at = "" if rate is None else f", rate {rate:g}"
    return Step(
        f"fold{fold}-{recipe}" + ("" if rate is None else f"-{rate:g}"),
        f"fold {fold}: train the student {what}{at}",
        _words(words),
        (plan.folds_file, *plan.inputs, *((pool, pseudo, labelled) if taught else ())),
        (out,),
        ("relevance", "trainer"),
    )


def _scores(plan: Plan, fold: int, recipe: str) -> Step:
    checkpoint, out = plan.fold(fold) / recipe, plan.fold(fold) / f"{recipe}_scores.parquet"
    words = (
        *("evaluate", "scores", "--checkpoint", checkpoint, "--data", plan.data),
        *("--folds", plan.folds_file, "--fold", fold, "--out", out),
    )
    return Step(
        f"fold{fold}-{recipe}-scores",
        f"fold {fold}: score the test part",
        _words(words),
        (checkpoint, plan.folds_file, *plan.inputs),
        (out,),
        ("relevance", "trainer"),
    )


def _gate(plan: Plan) -> Step:
    """Compare teacher and cross-entropy-only students; a weak one is told, not refused.

    The demo's last step is a comparison, so it goes on and lets its reader see what came of it.
    """
    teachers = tuple(plan.judge(fold) for fold in plan.folds)
    students = tuple(plan.fold(fold) / "ce_scores.parquet" for fold in plan.folds)
    named = [
        word
        for teacher, student in zip(teachers, students, strict=True)
        for word in ("--teacher", teacher, "--student", student)
    ]
    words = (
        *("teach", "gate", "--folds", plan.folds_file, *named),
        *("--out", plan.gate, "--allow-weak-teacher"),
    )
    return Step(
        "gate",
        "is the teacher better than the students it would teach?",
        _words(words),
        (plan.folds_file, *teachers, *students),
        (plan.gate,),
        ("relevance", "teacher"),
    )


def _words(words: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(word) for word in words)
