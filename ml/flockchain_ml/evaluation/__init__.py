"""Evaluation: leave-one-out scores with their evidence, and how good a model is. Knows no chain and no key."""

from __future__ import annotations

from flockchain_ml.evaluation.measure import Measures, compute_lost_share, compute_match_share, measure_lineage
from flockchain_ml.evaluation.order import EvaluateOrder, Evaluation, LossNotFinite, OnRows, OrderInvalid
from flockchain_ml.evaluation.scores import compute_exact_scores, evaluate_updates
from flockchain_ml.evaluation.trigger import Place, Trigger
from flockchain_ml.evaluation.trigger_search import Finding, TriggerSearch, search_trigger

__all__ = [
    "EvaluateOrder", "Evaluation", "Finding", "LossNotFinite", "Measures", "OnRows", "OrderInvalid", "Place", "Trigger",
    "TriggerSearch", "compute_exact_scores", "compute_lost_share", "compute_match_share", "evaluate_updates",
    "measure_lineage", "search_trigger",
]  # fmt: skip
