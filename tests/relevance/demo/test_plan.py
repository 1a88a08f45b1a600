from pathlib import Path

from relevance.demo.plan import Plan, serving_steps, training_steps


def make_plan(*, folds: tuple[int, ...] = (0, 1)) -> Plan:
    return Plan(
        folder=Path("out/shop"),
        data=Path("in/shop"),
        inputs=(Path("in/shop_items.parquet"), Path("in/shop_pairs.parquet")),
        of_folds=5,
        folds=folds,
        max_queries=10,
        block_queries=8,
        steps=5,
        learning_rate=5e-5,
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


def test_both_students_get_the_same_number_of_steps_and_only_one_the_teacher() -> None:
    students = [s for s in training_steps(make_plan(folds=(0,))) if s.words[1] == "student"]

    assert [s.words[s.words.index("--steps") + 1] for s in students] == ["5", "5"]
    assert [s.words[s.words.index("--learning-rate") + 1] for s in students] == ["5e-05", "5e-05"]
    assert ["--judgements" in s.words for s in students] == [False, True]
