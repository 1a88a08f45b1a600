"""A small Qwen2 of its own vocabulary, without weights: what `ellm teach sft --from-config` starts.

The vocabulary is learnt from the texts it will see. Whatever the form of an answer repeats (its
headings, aspects and verdicts) and every category path is one piece, so that a chain of thought is
some twenty-five tokens and copying a value is mostly copying one. Nothing here reads a shop's gold.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from relevance.aspects import aspect_names
from relevance.chain_of_thought import ITEM_HEADING, JUDGEMENT_HEADING, NOTHING, QUERY_HEADING
from relevance.domain import NOT_STATED, Item, Verdict
from relevance.text import normalise
from teacher.online.llm.prompt import Guidance, ItemFields, Mode, PromptStyle, prompt

STYLE = PromptStyle(guidance=Guidance.TUNED, reads=ItemFields.SHORT)
END, TURN, TURN_ENDS = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (  # as Qwen2's, without a system prompt of its own
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{% if not (loop.last and continue_final_message) %}{{ '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_small_model(
    folder: Path,
    items: Sequence[Item],
    queries: Iterable[str],
    answers: Iterable[str],
    *,
    width: int = 192,
    heads: int = 6,
    layers: int = 4,
    vocabulary: int = 6000,
    pieces: Sequence[str] | None = None,
) -> None:
    """Write tokenizer and configuration of an untrained model into `folder`.

    `pieces` are texts that are one token each: those of the form, unless others are given.
    """
    from transformers import Qwen2Config

    texts = [*_asked(items), *queries, *(_assistant(answer) for answer in answers)]
    whole = pieces_of_form() if pieces is None else pieces
    size = _write_tokenizer(folder, texts, [*whole, *_shelves(items)], vocabulary)
    Qwen2Config(
        vocab_size=size,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.06,  # larger than Qwen2's: narrow layers start to learn sooner
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
        architectures=["Qwen2ForCausalLM"],
    ).save_pretrained(folder)


def write_lettered_model(folder: Path) -> None:
    """The same with a tokenizer of single bytes, in which no word is one token."""
    write_small_model(folder, (), (), (), vocabulary=0, pieces=())


def pieces_of_form() -> tuple[str, ...]:
    """What every prompt and every answer repeats word by word."""
    empty = Item("", "", "-", "-", "-", attributes=(("-", "-"),))
    told = [m for mode in Mode for m in prompt("", empty, mode=mode, style=STYLE)]
    lines = {
        line.removesuffix(" -: -").removesuffix(" -").rstrip()
        for message in told
        for line in message["content"].splitlines()
    }
    roles = (f"{role}\n" for role in ("system", "user", "assistant"))
    verdicts = (f" -> {verdict}\n" for verdict in (Verdict.MATCH, Verdict.MISMATCH))
    return (
        *sorted(lines - {""}),
        *roles,
        f"{QUERY_HEADING}\n",
        f"{ITEM_HEADING}\n",
        JUDGEMENT_HEADING,
        f"{NOTHING}\n",
        *verdicts,
        f" {NOT_STATED} -> {Verdict.MISSING}\n",
        *(f"- {name}:" for name in aspect_names()),
        *(f" - {name} mismatch" for name in aspect_names()),
    )


def _write_tokenizer(
    folder: Path, texts: Sequence[str], pieces: Sequence[str], vocabulary: int
) -> int:
    """Byte-pair encoding cut as Qwen2 cuts, since `AutoTokenizer` reads it back as Qwen2's."""
    from tokenizers import AddedToken, models, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer(
        eos_token=TURN_ENDS, pad_token=END, extra_special_tokens=[TURN], model_max_length=512
    )
    backend = tokenizer.backend_tokenizer
    backend.model = models.BPE()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, TURN, TURN_ENDS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return len(tokenizer)


def _asked(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        yield f" {normalise(item.title)}"
        yield from (f" {field}" for field in (item.brand, item.color, item.category_path) if field)
        yield from (f"{name}: {value};" for name, value in item.attributes)


def _shelves(items: Iterable[Item]) -> list[str]:
    """The upper two levels of every category path, as they stand after a colon."""
    paths = (normalise(item.category_path).split(" > ")[:2] for item in items)
    return sorted({f" {' > '.join(path)}" for path in paths if path != [""]})


def _assistant(answer: str) -> str:
    return f"assistant\n{answer}"
