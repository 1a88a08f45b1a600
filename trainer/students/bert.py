"""The BERT student: query and title read together, one logit from the first position.

Source: Devlin et al., "BERT" (NAACL 2019), used as Nogueira & Cho (2019) rank passages; the paper's
interaction-based student. The body is transformers' own sequence classifier with one label, so a
checkpoint loads as sentence-transformers' `CrossEncoder` too. Its tagger is only looked at while
training (and where evidence is wanted), so nothing is added to scoring.
"""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from trainer.students.student import Judged, PairTexts, Student, StudentKind, TokenStates
from trainer.students.tagger import EvidenceTagger
from trainer.students.texts import TextBatch


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """The special tokens around a query and a title read together, and each part's segment."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: tuple[int, ...]  # of: before, query, between, title, after


@dataclass(frozen=True, slots=True, eq=False)
class JointBatch:
    """Pairs as one sequence each: (pairs, positions); `query_at` and `item_at` mark real tokens."""

    ids: torch.Tensor
    attention: torch.Tensor
    segments: torch.Tensor
    query_at: torch.Tensor
    item_at: torch.Tensor


class BERT(Student):
    """A sequence classifier's single logit; `tagger` reads evidence off its last token states."""

    kind = StudentKind.BERT

    def __init__(self, encoder: PreTrainedModel, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.body: PreTrainedModel = classifier_around(encoder)
        self.tagger = EvidenceTagger(int(encoder.config.hidden_size))
        self.template = pair_template(tokenizer)
        arguments = inspect.signature(self.body.forward).parameters
        self.segmented = (
            "token_type_ids" in arguments and getattr(encoder.config, "type_vocab_size", 0) > 1
        )

    @property
    def encoder_config(self) -> PretrainedConfig:
        """The configuration of the body, which says that it has one label."""
        return self.body.config

    def judge(self, texts: PairTexts, *, evidence: bool) -> Judged:
        """Logits of the pairs; with evidence the token states of both sides."""
        batch = join_pairs(texts, self.template)
        output = self.body(
            input_ids=batch.ids,
            attention_mask=batch.attention,
            output_hidden_states=evidence,
            **({"token_type_ids": batch.segments} if self.segmented else {}),
        )
        logits = output.logits[:, 0].float()
        if not evidence:
            return Judged(logits)
        last: torch.Tensor = output.hidden_states[-1]
        return Judged(
            logits,
            query_states=_gathered(last, batch.query_at),
            item_states=_gathered(last, batch.item_at),
        )

    def start(self, texts: PairTexts, items: TextBatch) -> None:
        """Nothing: head and tagger start random by the seed, as in the paper."""

    def start_from_head(self, head: Mapping[str, torch.Tensor]) -> None:
        """Take a sequence classifier's own tensors where they have our names and shapes."""
        own = self.body.state_dict()
        fitting = {n: t for n, t in head.items() if n in own and own[n].shape == t.shape}
        self.body.load_state_dict(fitting, strict=False)

    def calibration(self) -> list[nn.Parameter]:
        """The tagger's transitions, which decay would pull towards letting everything pass."""
        return list(self.tagger.crf.parameters())


def classifier_around(encoder: PreTrainedModel) -> PreTrainedModel:
    """A sequence classifier with one label whose encoder has these weights.

    What the classifier's encoder has beyond them (a pooling layer) starts random.
    """
    config = copy.deepcopy(encoder.config)
    config.num_labels = 1
    body = AutoModelForSequenceClassification.from_config(
        config, dtype=torch.float32, attn_implementation="eager"
    )
    missing = body.base_model.load_state_dict(encoder.state_dict(), strict=False)
    assert not missing.unexpected_keys
    return body


def pair_template(tokenizer: Tokenizer) -> PairTemplate:
    """How this tokenizer joins two texts, read off one example."""
    joint = tokenizer.encode("a", "b")
    sides = joint.sequence_ids
    query_start, item_start = sides.index(0), sides.index(1)
    query_end = len(sides) - sides[::-1].index(0)
    item_end = len(sides) - sides[::-1].index(1)
    ids, segments = joint.ids, joint.type_ids
    ends = (query_start, query_end, item_start, item_end)
    return PairTemplate(
        before=tuple(ids[: ends[0]]),
        between=tuple(ids[ends[1] : ends[2]]),
        after=tuple(ids[ends[3] :]),
        segments=(
            segments[0],
            segments[query_start],
            segments[query_end] if ends[1] < ends[2] else segments[query_start],
            segments[item_start],
            segments[-1],
        ),
    )


def join_pairs(texts: PairTexts, template: PairTemplate) -> JointBatch:
    """One padded sequence a pair: before, query, between, title, after."""
    queries = _real_ids(texts.queries)
    items = _real_ids(texts.items)
    rows = [
        (queries[query], items[item])
        for query, item in zip(texts.query_rows.tolist(), texts.item_rows.tolist(), strict=True)
    ]
    around = len(template.before) + len(template.between) + len(template.after)
    longest = max(len(query) + len(item) for query, item in rows) + around
    blank = torch.zeros((len(rows), longest), dtype=torch.long)
    batch = JointBatch(blank, blank.clone(), blank.clone(), blank.bool(), blank.bool())
    for at, (query, item) in enumerate(rows):
        _write(batch, at, query, item, template)
    device = texts.query_rows.device
    return JointBatch(
        batch.ids.to(device),
        batch.attention.to(device),
        batch.segments.to(device),
        batch.query_at.to(device),
        batch.item_at.to(device),
    )


def _write(
    batch: JointBatch, at: int, query: list[int], item: list[int], template: PairTemplate
) -> None:
    parts = (list(template.before), query, list(template.between), item, list(template.after))
    start = 0
    for number, (part, segment) in enumerate(zip(parts, template.segments, strict=True)):
        end = start + len(part)
        batch.ids[at, start:end] = torch.tensor(part, dtype=torch.long)
        batch.segments[at, start:end] = segment
        batch.query_at[at, start:end] = number == 1
        batch.item_at[at, start:end] = number == 3
        start = end
    batch.attention[at, :start] = 1


def _real_ids(batch: TextBatch) -> list[list[int]]:
    ids, is_token = batch.ids.tolist(), batch.is_token.tolist()
    return [
        [token for token, real in zip(row, marks, strict=True) if real]
        for row, marks in zip(ids, is_token, strict=True)
    ]


def _gathered(states: torch.Tensor, marked: torch.Tensor) -> TokenStates:
    """The marked positions of every row, moved to its front."""
    counts = marked.sum(dim=1)
    most = int(counts.max())
    order = marked.logical_not().long().argsort(dim=1, stable=True)[:, :most]
    gathered = states.gather(1, order[:, :, None].expand(-1, -1, states.shape[2]))
    is_token = torch.arange(most, device=states.device)[None, :] < counts[:, None]
    return TokenStates(gathered, is_token)
