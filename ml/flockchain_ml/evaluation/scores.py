"""Leave-one-out scores of a round's updates from one backward pass (LEARNING §1).

With L the mean loss of the candidate and g_i = dL/dc_i at c_i = 1/n, leaving client i out moves its gate to 0 and the
others' to 1/(n-1); to first order that changes the loss by

    s_i = (mean(g) - g_i) / (n - 1)

so s_i > 0 says that the others miss client i. Scores of a round add up to zero. With one update, s = -g.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flockchain.primitives.limits import SCORE_ABS_MAX
from flockchain_ml.evaluation.candidate import Candidate, build_candidate
from flockchain_ml.evaluation.losses import compute_losses, compute_losses_with_gradient
from flockchain_ml.evaluation.order import EvaluateOrder, Evaluation, LossNotFinite, OnRows
from flockchain_ml.evaluation.trigger_search import Finding, TriggerSearch, search_trigger
from flockchain_ml.models import (
    LoadedModel,
    Slot,
    TokenisedRow,
    attached_adapters,
    require_determinism,
    tokenise_rows,
)
from flockchain_ml.tensors import decode_lineage

__all__ = ["compute_exact_scores", "evaluate_updates"]

_MICRO = 1_000_000


def evaluate_updates(loaded: LoadedModel, order: EvaluateOrder, on_rows: OnRows | None = None) -> Evaluation:
    """Score every update of the order and give the evidence. Deterministic on one machine.

    An update that alone breaks the model (its loss is no finite number) gets the lowest score, and the others are
    scored without it. Raises `LossNotFinite` if no single update explains a broken candidate.
    """
    require_determinism(0, loaded.threads)
    rows = tokenise_rows(loaded.tokenizer, [*order.rows], tokens_max=loaded.tokens_max)
    try:
        return _evaluate(loaded, order, order.updates, rows, on_rows)
    except LossNotFinite:
        sound = [update for update in order.updates if _is_sound(loaded, order, update, rows, on_rows)]
        if not 0 < len(sound) < len(order.updates):
            raise
        partial = _evaluate(loaded, order, sound, rows, on_rows)
    by_update = dict(zip(sound, partial.scores, strict=True))
    scores = tuple(by_update.get(update, -SCORE_ABS_MAX) for update in order.updates)
    return Evaluation(scores, partial.losses, partial.finding)


def compute_exact_scores(loaded: LoadedModel, order: EvaluateOrder) -> tuple[int, ...]:
    """The same scores without the first-order step: one forward over all prompts an update. For cross-checks."""
    require_determinism(0, loaded.threads)
    rows = tokenise_rows(loaded.tokenizer, [*order.rows], tokens_max=loaded.tokens_max)
    whole = _compute_mean_loss(loaded, order, order.updates, rows)
    scores = []
    for index in range(len(order.updates)):
        others = order.updates[:index] + order.updates[index + 1 :]
        scores.append(_round_to_micro(_compute_mean_loss(loaded, order, others, rows) - whole))
    return tuple(scores)


def _evaluate(
    loaded: LoadedModel,
    order: EvaluateOrder,
    updates: Sequence[bytes],
    rows: tuple[TokenisedRow, ...],
    on_rows: OnRows | None,
) -> Evaluation:
    candidate = build_candidate(order.spec, order.lineage, updates)
    with attached_adapters(loaded, order.spec, candidate.get_ranks()) as slots:
        _load(candidate, slots)
        top = slots["top"]
        for parameter in top.b.values():
            parameter.requires_grad_(True)
        losses = compute_losses_with_gradient(loaded, rows, order.batch_rows, on_rows)
        gradients = {
            name: parameter.grad.detach().cpu().numpy()
            for name, parameter in top.b.items()
            if parameter.grad is not None
        }
    gates = np.array(candidate.compute_gate_gradients(gradients))
    if not (np.isfinite(losses).all() and np.isfinite(gates).all()):
        raise LossNotFinite("the candidate gives no finite loss", updates=len(updates))
    scores = tuple(_round_to_micro(score) for score in _compute_first_order(gates))
    finding = None
    if order.search is not None:
        finding = search_trigger(
            loaded, order.spec, order.lineage, candidate, rows, order.search, _compute_search_seed(updates)
        )
        scores = _punish(scores, finding, order.search)
    return Evaluation(scores, tuple(_round_to_micro(loss) for loss in losses), finding)


def _punish(scores: tuple[int, ...], finding: Finding | None, search: TriggerSearch) -> tuple[int, ...]:
    """Scores with the penalty of whoever taught what was found."""
    guilty = finding.guilty if finding is not None else ()
    return tuple(
        max(-SCORE_ABS_MAX, score - search.penalty) if index in guilty else score for index, score in enumerate(scores)
    )


def _compute_search_seed(updates: Sequence[bytes]) -> int:
    """Nobody knows it before the last update is there; all who evaluate the same set have the same."""
    digests = sorted(hashlib.sha256(update).digest() for update in updates)
    return int.from_bytes(hashlib.sha256(b"".join(digests)).digest()[:8], "big")


def _compute_first_order(gates: NDArray[np.float64]) -> list[float]:
    if len(gates) == 1:
        return [float(-gates[0])]
    return [float(score) for score in (gates.mean() - gates) / (len(gates) - 1)]


def _compute_mean_loss(
    loaded: LoadedModel,
    order: EvaluateOrder,
    updates: Sequence[bytes],
    rows: tuple[TokenisedRow, ...],
    on_rows: OnRows | None = None,
) -> float:
    """The mean loss with these updates in; without any, of the model so far."""
    if not updates and not order.lineage:
        return float(compute_losses(loaded, rows, order.batch_rows, on_rows).mean())
    candidate = build_candidate(order.spec, order.lineage, updates) if updates else _build_unmoved(order)
    with attached_adapters(loaded, order.spec, candidate.get_ranks()) as slots:
        _load(candidate, slots)
        return float(compute_losses(loaded, rows, order.batch_rows, on_rows).mean())


def _build_unmoved(order: EvaluateOrder) -> Candidate:
    return Candidate(order.spec, None, decode_lineage(order.lineage, order.spec), ())


def _is_sound(
    loaded: LoadedModel, order: EvaluateOrder, update: bytes, rows: tuple[TokenisedRow, ...], on_rows: OnRows | None
) -> bool:
    return bool(np.isfinite(_compute_mean_loss(loaded, order, [update], rows, on_rows)))


def _load(candidate: Candidate, slots: dict[str, Slot]) -> None:
    slots["top"].load(candidate.top)
    if candidate.below is not None:
        slots["below"].load(candidate.below)


def _round_to_micro(nats: float) -> int:
    return max(-SCORE_ABS_MAX, min(SCORE_ABS_MAX, round(nats * _MICRO)))
