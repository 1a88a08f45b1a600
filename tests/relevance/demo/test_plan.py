from pathlib import Path

from relevance.demo.plan import Plan, serving_steps, training_steps
from relevance.demo.steps import Step


def make_plan(*, folds: tuple[int, ...] = (0, 1), rates: tuple[float, ...] = (5e-5, 1e-4)) -> Plan:
    return Plan(
        folder=Path("out/shop"),
        data=Path("in/shop"),
        inputs=(Path("in/shop_items.parquet"), Path("in/shop_pairs.parquet")),
        of_folds=5,
        folds=folds,
        max_queries=10,
        block_queries=8,
        steps=5,
        rates=rates,
        pool_options=("--good-share", "0.4"),
    )


def test_every_input_is_the_data_or_an_earlier_steps_output() -> None:
    plan = make_plan()
    written: list[Path] = list(plan.inputs)

    for step in [*training_steps(plan), *serving_steps(plan)]:
        for needed in step.inputs:
            assert any(needed == out or out in needed.parents for out in written), step.name
        written += step.outputs


def test_every_file_a_command_names_is_among_its_inputs_and_outputs() -> None:
    plan = make_plan()

    for step in [*training_steps(plan), *serving_steps(plan)]:
        named = {Path(word) for word in step.words if word.startswith("out/")}
        known = {*step.inputs, *step.outputs, plan.store}
        assert named <= known, step.name


def test_step_names_differ_between_folds() -> None:
    names = [step.name for step in training_steps(make_plan())]

    assert len(names) == len(set(names))


def words_after(option: str, step: Step) -> list[str]:
    return [step.words[at + 1] for at, word in enumerate(step.words) if word == option]


def test_both_students_get_the_same_steps_and_search_and_only_one_the_teacher() -> None:
    steps = training_steps(make_plan(folds=(0,)))
    runs = [step for step in steps if step.words[1] == "student"]
    chosen = [step for step in steps if step.words[1] == "choose"]

    assert [words_after("--recipe", run) for run in runs] == [["ce"]] * 2 + [["mkd"]] * 2
    assert [words_after("--steps", run) for run in runs] == [["5"]] * 4
    assert [words_after("--learning-rate", run) for run in runs] == [["5e-05"], ["0.0001"]] * 2
    assert ["--judgements" in run.words for run in runs] == [False, False, True, True]
    assert ["--good-share" in run.words for run in runs] == [False, False, True, True]
    outputs = [words_after("--out", run)[0] for run in runs]
    assert [words_after("--run", choice) for choice in chosen] == [outputs[:2], outputs[2:]]


def test_without_rates_each_student_is_trained_once_at_its_recipes_own() -> None:
    steps = training_steps(make_plan(folds=(0,), rates=()))
    runs = [step for step in steps if step.words[1] == "student"]

    assert [run.outputs for run in runs] == [
        (Path("out/shop/fold0/ce"),),
        (Path("out/shop/fold0/mkd"),),
    ]
    assert not any("--learning-rate" in run.words for run in runs)
    assert not any(step.words[1] == "choose" for step in steps)


def test_no_student_is_distilled_before_the_gate() -> None:
    names = [step.name for step in training_steps(make_plan())]
    gate = names.index("gate")

    assert not any("mkd" in name for name in names[:gate])
    assert not any("-ce" in name for name in names[gate:])
