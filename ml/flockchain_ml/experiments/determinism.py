"""How far scores and losses move when what must not matter changes: threads, batch rows, precision, order, device.

One real round's updates are scored once as validators do (f32, one thread) and then under one change at a time. The
reference in f64 is computed here, from the same candidate and the same formula. All in micro-nats; a score's
granularity is one. The useful margin is what separates the round's scores.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from flockchain_ml.evaluation import EvaluateOrder, Evaluation, evaluate_updates
from flockchain_ml.evaluation.candidate import build_candidate
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import Watched, compute_figures
from flockchain_ml.experiments.intervals import compute_interval
from flockchain_ml.experiments.plots import draw_bars
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.tables import NOTHING, build_markdown, format_values, get_axis, select
from flockchain_ml.models import (
    LoadedModel,
    attached_adapters,
    build_batch,
    require_determinism,
    tokenise_rows,
)

__all__ = ["CHANGES", "DETERMINISM", "NO_DEVICE", "Spread", "compute_reference", "compute_spread"]

NO_DEVICE: Final = "not measured: no CUDA device"
_MICRO: Final = 1e6
_REFERENCE_BATCH_ROWS: Final = 80


@dataclass(frozen=True, slots=True)
class Spread:
    """The largest distances, in micro-nats."""

    scores: float
    losses: float


def compute_spread(left: Mapping[str, Sequence[float]], right: Mapping[str, Sequence[float]]) -> Spread:
    """Between two evaluations of one round: `scores` by update, `losses` by prompt."""
    return Spread(*(_get_distance(left[name], right[name]) for name in ("scores", "losses")))


def compute_reference(loaded: LoadedModel, order: EvaluateOrder) -> dict[str, list[float]]:
    """Scores and losses of the order in f64 from the logits on, micro-nats, not rounded."""
    require_determinism(0, loaded.threads)
    wide = replace(loaded, model=copy.deepcopy(loaded.model).to(torch.float64))
    rows = tokenise_rows(wide.tokenizer, order.rows, tokens_max=wide.tokens_max)
    candidate = build_candidate(order.spec, order.lineage, order.updates)
    losses: list[float] = []
    with attached_adapters(wide, order.spec, candidate.get_ranks()) as slots:
        slots["top"].load(candidate.top)
        if candidate.below is not None:
            slots["below"].load(candidate.below)
        for parameter in slots["top"].b.values():
            parameter.requires_grad_(True)
        for start in range(0, len(rows), _REFERENCE_BATCH_ROWS):
            batch = build_batch(rows[start : start + _REFERENCE_BATCH_ROWS], pad=wide.pad)
            logits = wide.model(input_ids=batch.inputs, use_cache=False).logits
            values = functional.cross_entropy(
                logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-100, reduction="none"
            ).view_as(batch.targets).sum(1) / (batch.targets != -100).sum(1)  # fmt: skip
            (values.sum() / len(rows)).backward()
            losses += values.detach().tolist()
        gradients = {name: b.grad.numpy() for name, b in slots["top"].b.items() if b.grad is not None}
    gates = np.array(candidate.compute_gate_gradients(gradients))
    scores = (gates.mean() - gates) / (len(gates) - 1) if len(gates) > 1 else -gates
    return {"scores": (scores * _MICRO).tolist(), "losses": [value * _MICRO for value in losses]}


def _evaluate_plain(loaded: LoadedModel, order: EvaluateOrder) -> dict[str, Sequence[float]]:
    found: Evaluation = evaluate_updates(loaded, order)
    return {"scores": found.scores, "losses": found.losses}


def _with_threads(threads: int) -> Callable[[LoadedModel, EvaluateOrder], Mapping[str, Sequence[float]]]:
    return lambda loaded, order: _evaluate_plain(replace(loaded, threads=threads), order)


def _with_batch(rows: int) -> Callable[[LoadedModel, EvaluateOrder], Mapping[str, Sequence[float]]]:
    return lambda loaded, order: _evaluate_plain(loaded, replace(order, batch_rows=rows))


def _in_bf16(loaded: LoadedModel, order: EvaluateOrder) -> Mapping[str, Sequence[float]]:
    return _evaluate_plain(replace(loaded, model=copy.deepcopy(loaded.model).to(torch.bfloat16)), order)


def _in_other_order(loaded: LoadedModel, order: EvaluateOrder) -> Mapping[str, Sequence[float]]:
    """The updates shuffled; the scores are put back in their places."""
    places = list(range(len(order.updates)))
    Random(len(places)).shuffle(places)
    found = _evaluate_plain(loaded, replace(order, updates=tuple(order.updates[at] for at in places)))
    back = dict(zip(places, found["scores"], strict=True))
    return {"scores": [back[at] for at in range(len(places))], "losses": found["losses"]}


def _on_cuda(loaded: LoadedModel, order: EvaluateOrder) -> Mapping[str, Sequence[float]] | None:
    if not torch.cuda.is_available():
        return None
    moved = replace(loaded, model=copy.deepcopy(loaded.model).to("cuda"), device="cuda")
    return _evaluate_plain(moved, order)


# Each against f32, one thread, the evaluator's batches, the updates as they came.
CHANGES: Final[Mapping[str, Callable[[LoadedModel, EvaluateOrder], Mapping[str, Sequence[float]] | None]]] = {
    "the same again": _evaluate_plain,
    "2 threads": _with_threads(2),
    "4 threads": _with_threads(4),
    "batches of 1 row": _with_batch(1),
    "batches of 16 rows": _with_batch(16),
    "batches of 240 rows": _with_batch(240),
    "updates in another order": _in_other_order,
    "bf16": _in_bf16,
    "CUDA": _on_cuda,
    "f64 (reference)": compute_reference,
}


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    contender = CONTENDERS[cell.rule]
    watched = Watched(contender.rule)
    rehearsal = Rehearsal(loaded, cell.scenario, cell.seed)
    rounds = rehearsal.run_contender(replace(contender, rule=watched))
    closed = watched.seen[-1][0]
    prompts = cell.scenario.build_suite(cell.seed)[: cell.scenario.prompts_per_round]
    order = EvaluateOrder(closed.spec, closed.lineage, closed.updates, prompts, **contender.evaluation)
    usual = _evaluate_plain(loaded, order)
    spreads: dict[str, Any] = {}
    for name, change in CHANGES.items():
        found = change(loaded, order)
        spread = compute_spread(found, usual) if found is not None else None
        spreads[name] = NO_DEVICE if spread is None else {"scores": spread.scores, "losses": spread.losses}
    require_determinism(0, loaded.threads)
    scores = sorted(usual["scores"])
    gaps = [above - below for below, above in pairwise(scores)]
    return {
        **compute_figures(cell.scenario, rounds),
        "spreads": spreads,
        "median_gap": float(np.median(gaps)) if gaps else None,
        "median_absolute_score": float(np.median(np.abs(scores))),
    }


def _get_distance(left: Sequence[float], right: Sequence[float]) -> float:
    return float(np.abs(np.array(left, np.float64) - np.array(right, np.float64)).max())


def _build_tables(cells: Sequence[Document]) -> str:
    parts = []
    for rule in get_axis(cells, "rule"):
        own = select(cells, rule=rule)
        rows = []
        for name in own[0]["spreads"]:
            known = [cell["spreads"][name] for cell in own if isinstance(cell["spreads"][name], dict)]
            if not known:
                rows.append([name, NO_DEVICE, NOTHING, NOTHING])
                continue
            worst = max(spread["scores"] for spread in known)
            means = [format_values([spread[of] for spread in known], 2) for of in ("scores", "losses")]
            rows.append([name, means[0], f"{worst:.2f}", means[1]])
        head = ["changed", "largest move of a score", "worst seed", "largest move of a prompt's loss"]
        gap = format_values([cell["median_gap"] for cell in own], 0)
        size = format_values([cell["median_absolute_score"] for cell in own], 0)
        parts.append(
            f"### {rule}: micro-nats, against f32 on one thread\n\n{build_markdown(head, rows)}\n"
            f"For scale: the median distance between neighbouring scores of the round is {gap}, the median size of a "
            f"score {size} micro-nats.\n"
        )
    return "\n".join(parts)


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    bars = {
        name: compute_interval([cell["spreads"][name]["scores"] for cell in cells])
        for name in CHANGES
        if all(isinstance(cell["spreads"].get(name), dict) for cell in cells)
    }
    title = "Largest move of a score, micro-nats"
    return (draw_bars(bars, title, folder / "determinism-scores.png", is_log=True),)


DETERMINISM: Final = Experiment(
    name="determinism",
    sentence="How far a round's scores and losses move with threads, batches, precision, order and device.",
    rules=("accumulated",),
    attacks=("backdoor",),
    ratios=(30,),
    rounds=2,
    known=tuple(name for name, contender in CONTENDERS.items() if not contender.probe_kinds),
    get_settings=CONTENDERS.__getitem__,
    run_cell=_run_cell,
    build_tables=_build_tables,
    draw=_draw,
)
