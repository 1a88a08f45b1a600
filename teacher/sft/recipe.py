"""Settings of a fine-tuning run; what is done with them stands in `fine_tune.py`."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from relevance.errors import BadInput
from teacher.online.llm.prompt import Guidance, Mode, PromptStyle

DEFAULT_MODEL = "Qwen/Qwen2-7B-Instruct"  # what the paper fine-tunes


class Answers(StrEnum):
    """What the model learns to answer.

    COT: the chain of thought, then the judgement. DIRECT: the judgement alone, the baseline the
    paper calls Walmart-LLM. MIXED: both, each asked for by its own prompt.
    """

    COT = "cot"
    DIRECT = "direct"
    MIXED = "mixed"

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The prompts each chain of thought is asked for with."""
        return tuple(Mode) if self is Answers.MIXED else (Mode(self),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SftRecipe:
    """Fine-tuning as in the paper's 3.2.2 by default; everything it is silent about says so.

    No `steps` leave the model as it is. One step is `global_batch` examples, whatever the number of
    processes: each works `micro_batch` of them at a time and accumulates. `judgement_weight`
    multiplies the judgement token's loss, `verdict_weight` that of every match and mismatch.
    `lora_rank` 0 trains every weight. `readable` leaves out findings whose values the prompt does
    not show, so that the model is not taught to invent. Weights are kept as `weights`, `attention`
    is one of transformers' implementations; with `bf16` matrix products are taken in bfloat16.
    """

    answers: Answers = Answers.COT
    style: PromptStyle = field(default=PromptStyle(guidance=Guidance.TUNED))
    readable: bool = False
    steps: int = 8000
    global_batch: int = 256
    learning_rate: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.01
    micro_batch: int = 4  # from here on the paper is silent
    warmup: float = 0.03  # share of the steps, then linear to zero
    clip: float = 1.0
    judgement_weight: float = 1.0
    verdict_weight: float = 1.0
    max_tokens: int = 1024
    bf16: bool = True
    weights: str = "float32"
    attention: str = "sdpa"
    checkpointing: bool = True
    lora_rank: int = 0
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("global_batch", "micro_batch", "max_tokens"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name}: expected at least 1, got {getattr(self, name)}")
        if (
            min(self.learning_rate, self.judgement_weight, self.verdict_weight) <= 0
            or min(self.lora_rank, self.steps) < 0
        ):
            raise BadInput(f"recipe: expected a positive rate and weights, got {self}")
        if self.style.guidance is not Guidance.TUNED:
            raise BadInput("recipe: the prompt of fine-tuning carries no examples (paper, 3.2.2)")

    def accumulation(self, processes: int) -> int:
        """Micro-batches of one process in a step; refused where they do not come out even."""
        together = self.micro_batch * processes
        if self.global_batch % together:
            raise BadInput(
                f"global batch: expected a multiple of {self.micro_batch} examples x {processes} "
                f"processes, got {self.global_batch}"
            )
        return self.global_batch // together

    def content(self) -> dict[str, Any]:
        """The recipe as plain data."""
        return asdict(self)
