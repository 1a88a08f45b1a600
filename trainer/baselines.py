"""The lexical baselines by the name the study knows; they are defined in `relevance.baselines`."""

from relevance.baselines import BM25, baseline_scores, fit_bm25, token_overlap

__all__ = ["BM25", "baseline_scores", "fit_bm25", "token_overlap"]
