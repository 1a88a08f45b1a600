import pytest

from relevance.errors import BadInput
from teacher.online.llm.prompt import Mode, PromptStyle
from teacher.sft.recipe import Answers, SftRecipe


def test_the_default_is_the_papers_recipe() -> None:
    """Section 3.2.2: AdamW, 1e-5, betas, decay, a global batch of 256, 8,000 steps."""
    recipe = SftRecipe()

    assert (recipe.learning_rate, recipe.beta1, recipe.beta2) == (1e-5, 0.9, 0.999)
    assert (recipe.weight_decay, recipe.global_batch, recipe.steps) == (0.01, 256, 8000)
    assert recipe.lora_rank == 0
    assert recipe.answers is Answers.COT


@pytest.mark.parametrize(("processes", "expected"), [(1, 64), (8, 8), (64, 1)])
def test_a_step_is_the_same_batch_on_any_number_of_processes(processes: int, expected: int) -> None:
    """Accumulation makes up for fewer processes."""
    assert SftRecipe(micro_batch=4).accumulation(processes) == expected


def test_a_batch_that_does_not_come_out_even_is_refused() -> None:
    """Silently another batch would be another recipe."""
    with pytest.raises(BadInput, match="a multiple of 4 examples x 3 processes, got 256"):
        SftRecipe().accumulation(3)


@pytest.mark.parametrize("name", ["judgement_weight", "verdict_weight"])
def test_a_token_cannot_weigh_nothing(name: str) -> None:
    """Without it the model would never learn to judge."""
    with pytest.raises(BadInput, match="expected a positive rate and weights"):
        SftRecipe(**{name: 0.0})  # type: ignore[arg-type]


def test_a_prompt_with_examples_is_refused() -> None:
    """Fine-tuning goes without few-shots."""
    with pytest.raises(BadInput, match="carries no examples"):
        SftRecipe(style=PromptStyle())


def test_mixed_answers_ask_in_every_mode() -> None:
    """The others in their own."""
    assert Answers.MIXED.modes == tuple(Mode)
    assert (Answers.COT.modes, Answers.DIRECT.modes) == ((Mode.COT,), (Mode.DIRECT,))
