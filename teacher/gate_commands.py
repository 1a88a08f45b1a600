"""`ellm teach gate`: refuse to distil a teacher that is not shown to be better than its student."""

import json
from pathlib import Path

import typer

from relevance.domain import Target


def gate(
    folds: Path = typer.Option(..., "--folds", help="Folds written by `ellm data folds`."),
    teacher: list[Path] = typer.Option(
        ..., "--teacher", help="A fold's folder from `ellm teach fit`, or judgements; repeatable."
    ),
    student: list[Path] = typer.Option(
        ..., "--student", help="The same fold's scores from `ellm evaluate scores`; repeatable."
    ),
    target: Target = typer.Option(Target.DIRECT, "--target", help="Which log-odds to compare."),
    out: Path | None = typer.Option(None, "--out", help="Where the comparison goes (JSON)."),
    allow_weak_teacher: bool = typer.Option(
        False, "--allow-weak-teacher", help="Say what was found, but let distilling go on."
    ),
) -> None:
    """Refuse (exit code 4) a teacher that is not shown to be better than its student.

    Compared are ROC-AUC and Neg PR-AUC on the folds' test parts; each lower bound of the paired
    95 % interval must be above 0. A teacher that looks at student scores must pass without them
    as well.
    """
    from relevance.atomic import write_text
    from relevance.errors import BadInput, GateRefused
    from relevance.folds import read_folds
    from teacher.gate import compare
    from teacher.held_out_scores import files_of, read_held_out

    if len(teacher) != len(student):
        raise BadInput(
            f"gate: expected one --student for each --teacher, got {len(student)} for "
            f"{len(teacher)}"
        )
    assignment = read_folds(folds)
    files = [files_of(t, s) for t, s in zip(teacher, student, strict=True)]
    kinds = {
        "teacher": [read_held_out(f.student, f.teacher, assignment, target=target) for f in files]
    }
    if any(f.without_student for f in files):
        kinds["teacher without its student"] = [
            read_held_out(f.student, f.without_student or f.teacher, assignment, target=target)
            for f in files
        ]
    result = compare(kinds, of_folds=assignment.folds)
    typer.echo(str(result))
    if out is not None:
        content = {**result.content(), "allowed_weak": allow_weak_teacher}
        write_text(out, json.dumps(content, indent=2) + "\n")
    if not result.passes and not allow_weak_teacher:
        raise GateRefused(
            "this teacher is not shown to be better than the student it would teach:\n"
            + "\n".join(result.reasons)
            + "\nhint: --allow-weak-teacher distils all the same"
        )
    typer.echo("the gate is open" + ("" if result.passes else ", by --allow-weak-teacher alone"))
