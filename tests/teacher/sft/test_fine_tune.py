"""Whole runs on a model of two small layers: learning, stopping, going on, adapters, processes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from relevance.errors import BadInput
from teacher.sft.examples import Example, read_examples
from teacher.sft.recipe import Answers, SftRecipe
from tests.teacher.sft.make_chains import CHAINS, ITEMS, STYLE, written_chains

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # libraries about each other
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def recipe(**changes: Any) -> SftRecipe:
    settings: dict[str, Any] = {
        "style": STYLE,
        "steps": 8,
        "global_batch": 4,
        "micro_batch": 2,
        "learning_rate": 3e-3,
        "bf16": False,
        "checkpointing": False,
    }
    return SftRecipe(**(settings | changes))


@pytest.fixture
def examples(tmp_path: Path) -> tuple[Example, ...]:
    return read_examples(written_chains(tmp_path / "chains.parquet", CHAINS * 6), ITEMS, recipe())


def tuned(
    model: Path,
    examples: tuple[Example, ...],
    out: Path,
    how: SftRecipe,
    *,
    save_every: int = 100,
    stop_after: int | None = None,
) -> Any:
    """Fine-tune from random weights; returns what came of it."""
    from transformers import TrainerCallback

    from teacher.sft.fine_tune import Places, fine_tune

    class Stop(TrainerCallback):
        def on_step_end(self, _: Any, state: Any, __: Any, **___: Any) -> None:
            if state.global_step == stop_after:
                raise KeyboardInterrupt

    places = Places(out=out, unfinished=out.with_suffix(".unfinished"), save_every=save_every)
    return fine_tune(str(model), examples, how, places, from_config=True, callbacks=[Stop()])


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return all((ours[name] == theirs[name]).all() for name in ours) and ours.keys() == theirs.keys()


def test_a_run_learns_its_answers_and_writes_a_whole_model(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """What it wrote loads by name, answers as taught, and says what it was made of."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "model"

    how = recipe(steps=60, judgement_weight=3.0, verdict_weight=4.0)
    done = tuned(model_folder, examples, out, how)

    tokenizer = AutoTokenizer.from_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(out).eval()
    for example in examples[:2]:
        asked = tokenizer.apply_chat_template(
            list(example.messages), add_generation_prompt=True, return_tensors="pt"
        )
        ids = asked["input_ids"] if hasattr(asked, "keys") else asked
        with torch.inference_mode():
            said = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=60, do_sample=False
            )
        assert tokenizer.decode(said[0][ids.shape[1] :], skip_special_tokens=True) == example.answer
    about = json.loads((out / "sft.json").read_text(encoding="utf-8"))
    assert (about["examples"], about["from_config"]) == (len(examples), True)
    assert about["prompt"] == STYLE.fingerprint
    assert done.too_long == 0
    assert not out.with_suffix(".unfinished").exists()


def test_a_stopped_run_goes_on_to_the_same_weights(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """Killed between savings it repeats a few steps, and ends bit for bit as if never stopped."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    tuned(model_folder, examples, whole, recipe())

    with pytest.raises(KeyboardInterrupt):
        tuned(model_folder, examples, stopped, recipe(), save_every=3, stop_after=5)
    assert not stopped.exists()
    tuned(model_folder, examples, stopped, recipe(), save_every=3)

    assert same(whole, stopped)


def test_another_runs_remains_are_refused(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """A changed recipe does not go on from what was learnt by the old one."""
    with pytest.raises(KeyboardInterrupt):
        tuned(model_folder, examples, tmp_path / "m", recipe(), save_every=2, stop_after=3)

    with pytest.raises(BadInput, match="expected a stopped run of this very model, recipe and"):
        tuned(model_folder, examples, tmp_path / "m", recipe(learning_rate=1e-4))


def test_how_a_step_is_cut_does_not_change_it(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """One micro-batch of four and four of one are the same step, up to rounding.

    Adam's first step is the rate times the gradient's sign: another mixture would flip some.
    """
    import numpy as np

    for micro in (1, 4):
        tuned(model_folder, examples, tmp_path / str(micro), recipe(steps=1, micro_batch=micro))

    ours, theirs = weights(tmp_path / "1"), weights(tmp_path / "4")
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], atol=3e-4)


def test_no_steps_leave_the_model_as_it_is(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """The same seed, the same random weights."""
    for name in ("one", "other"):
        tuned(model_folder, examples, tmp_path / name, recipe(steps=0))

    assert same(tmp_path / "one", tmp_path / "other")


def test_an_adapter_is_merged_into_the_model(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """Any engine serves it; only the linear layers moved."""
    tuned(model_folder, examples, tmp_path / "start", recipe(steps=0))
    tuned(model_folder, examples, tmp_path / "lora", recipe(steps=4, lora_rank=4))

    start, lora = weights(tmp_path / "start"), weights(tmp_path / "lora")
    moved = {name for name in start if (start[name] != lora[name]).any()}
    assert start.keys() == lora.keys()
    assert moved
    assert all("proj" in name for name in moved)


def test_examples_that_are_too_long_are_left_out_and_counted(
    model_folder: Path, examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """A cut answer would teach to stop in the middle."""
    from teacher.sft.models import read_tokenizer
    from teacher.sft.tokens import tokenised

    lengths = {len(tokenised(e, read_tokenizer(str(model_folder))).input_ids) for e in examples}

    done = tuned(model_folder, examples, tmp_path / "m", recipe(steps=1, max_tokens=min(lengths)))

    assert (done.examples, done.too_long) == (len(examples) // 2, len(examples) // 2)
    with pytest.raises(BadInput, match="expected at most 5 tokens, got none under"):
        tuned(model_folder, examples, tmp_path / "n", recipe(max_tokens=5))


def test_two_processes_train_one_model(model_folder: Path, tmp_path: Path) -> None:
    """Under torchrun each takes half of a step's examples; one of them writes."""
    chains = written_chains(tmp_path / "chains.parquet", CHAINS * 6)
    items = tmp_path / "items.jsonl"
    items.write_text(
        "".join(json.dumps({"item_id": i, "title": item.title}) + "\n" for i, item in ITEMS.items())
    )
    words = (
        *("teach", "sft", chains, "--model", model_folder, "--items", items),
        *("--out", tmp_path / "model"),
        *(
            "--from-config",
            "--steps",
            6,
            "--global-batch",
            4,
            "--micro-batch",
            2,
            "--mode",
            "mixed",
        ),
        *("--float32", "--no-checkpointing", "--tensorboard", tmp_path / "log"),
    )
    run = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--module")

    done = subprocess.run(
        [*run, "relevance", *map(str, words)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert weights(tmp_path / "model")
    assert any((tmp_path / "log").iterdir())
    about = json.loads((tmp_path / "model" / "sft.json").read_text(encoding="utf-8"))
    assert about["recipe"]["answers"] == Answers.MIXED
    assert about["examples"] == 4 * 6
