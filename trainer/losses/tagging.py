"""Evidence as sequence tagging: the loss of interaction-based students' chain of thought.

Source: paper, §3.3.2. It prints a product of token probabilities; a CRF scores whole sequences
(design §3, row 11), query and title as two of them. The CRF is `students/tagger.py`.
"""

import torch

from trainer.students.tagger import EvidenceTagger


def sequence_tagging(
    tagger: EvidenceTagger, states: torch.Tensor, tags: torch.Tensor, is_token: torch.Tensor
) -> torch.Tensor:
    """−log p(tags | states) = log Σ_{y'} exp s(y') − s(y), one value per text: (texts,).

    s(y) = start(y_1) + Σ_t emission_t(y_t) + Σ_t transition(y_t, y_{t+1}) + end(y_n) over a text's
    n real tokens, which stand first in its row; y' runs over all taggings that BIO allows. A
    pair's loss is the sum of its two texts'; divide the sum by the number of tagged pairs.
    """
    return -tagger.log_likelihood(states, tags, is_token)
