"""Ways to add LoRA updates up: what each does to accuracy, how far it is from the exact mean, and what it costs.

The mean of products B·A is what averaging the clients' models means. Exact: FFA (A frozen, so ΔB is averaged) and
stacking. Product mean with an SVD cuts the exact mean to the task's rank. Separate means of A and of B is the known
wrong way, here as what the others are compared with: mean(B)·mean(A) is not mean(B·A). Nobody attacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from flockchain.exact import STACK_EXTRA_SCALE_BITS, decode_aggregate, encode_aggregate
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain_ml.aggregation import AggregationRule, FedAvg, RoundInput, RoundOutcome, RuleCard
from flockchain_ml.aggregation.changes import build_change_outcome, compute_mean_change
from flockchain_ml.aggregation.products import Factors, Matrix, decode_factors
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import Watched, compute_figures
from flockchain_ml.experiments.intervals import compute_interval
from flockchain_ml.experiments.plots import draw_bars
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.tables import build_markdown, collect, format_values, get_axis, select
from flockchain_ml.models import LoadedModel

__all__ = ["AGGREGATION", "WAYS", "ProductSvd", "SeparateMeans", "Way", "compute_relative_error"]


@dataclass(frozen=True, slots=True)
class SeparateMeans:
    """mean(B) · mean(A): wrong, and what naive averaging of LoRA parameters does. STACK only."""

    name: ClassVar[str] = "separate-means"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="the known-wrong baseline", weights="do not act", modes=(AdapterMode.STACK,)
    )

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        factors, tensors = decode_factors(round.spec, round.updates), {}
        for module in round.spec.modules:
            a = np.mean([own.a[module.name] for own in factors], axis=0)
            b = np.mean([own.b[module.name] for own in factors], axis=0)
            b_bits = module.b_scale_bits + STACK_EXTRA_SCALE_BITS
            tensors[f"{module.name}.lora_A"] = np.rint(np.ldexp(a, module.a_scale_bits)).astype(np.int32)
            tensors[f"{module.name}.lora_B"] = np.rint(np.ldexp(b, b_bits)).astype(np.int32)
        everyone = tuple(range(len(round.updates)))
        return RoundOutcome(everyone, round.reputations, encode_aggregate(tensors, round.spec)), state


@dataclass(frozen=True, slots=True)
class ProductSvd:
    """The exact mean of the products, cut to the task's rank by an SVD a module. STACK only."""

    name: ClassVar[str] = "product-svd"
    needs_scores: ClassVar[bool] = False
    card: ClassVar[RuleCard] = RuleCard(
        paper="the best approximation of the mean product at the task's rank", weights="do not act",
        modes=(AdapterMode.STACK,),
    )  # fmt: skip

    def aggregate(self, round: RoundInput, state: bytes = b"") -> tuple[RoundOutcome, bytes]:
        change = compute_mean_change(round.spec, round.updates, [1.0] * len(round.updates))
        return build_change_outcome(round, range(len(round.updates)), change), state


@dataclass(frozen=True, slots=True)
class Way:
    """A rule with the mode that it works in."""

    mode: AdapterMode
    rule: AggregationRule


WAYS: Final[Mapping[str, Way]] = {
    SeparateMeans.name: Way(AdapterMode.STACK, SeparateMeans()),
    "ffa": Way(AdapterMode.FFA, FedAvg()),
    "stacking": Way(AdapterMode.STACK, FedAvg()),
    ProductSvd.name: Way(AdapterMode.STACK, ProductSvd()),
}


def compute_relative_error(round: RoundInput, aggregate: bytes) -> float:
    """The Frobenius distance of what the round adds to the weights from the mean of its products, over that mean's."""
    spec, squares, norms = round.spec, 0.0, 0.0
    factors = decode_factors(spec, round.updates)
    for module in spec.modules:
        exact = np.mean([own.b[module.name] @ own.a[module.name] for own in factors], axis=0)
        added = _compute_added(spec, round.lineage, aggregate, module.name, factors[0])
        squares += float(((added - exact) ** 2).sum())
        norms += float((exact**2).sum())
    return float(np.sqrt(squares / norms)) if norms else 0.0


def _compute_added(spec: AdapterSpec, lineage: Sequence[bytes], aggregate: bytes, name: str, any_: Factors) -> Matrix:
    module = next(module for module in spec.modules if module.name == name)
    tensors = decode_aggregate(aggregate, spec)
    b = tensors[f"{name}.lora_B"].astype(np.float64)
    if spec.mode is AdapterMode.FFA:
        old = decode_aggregate(lineage[-1], spec)[f"{name}.lora_B"] if lineage else 0
        return np.asarray(np.ldexp(b - old, -module.b_scale_bits) @ any_.a[name])
    a = np.ldexp(tensors[f"{name}.lora_A"].astype(np.float64), -module.a_scale_bits)
    return np.asarray(np.ldexp(b, -module.b_scale_bits - STACK_EXTRA_SCALE_BITS) @ a)


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    way = WAYS[cell.rule]
    scenario, watched = replace(cell.scenario, mode=way.mode), Watched(way.rule)
    rounds = Rehearsal(loaded, scenario, cell.seed).run_rule(watched)
    closed = [(round, outcome.aggregate) for round, outcome in watched.seen if outcome.aggregate is not None]
    model_bytes = [len(aggregate) for _, aggregate in closed]
    return {
        **compute_figures(scenario, rounds),
        "relative_errors": [compute_relative_error(round, aggregate) for round, aggregate in closed],
        "update_bytes": max(len(update) for round, _ in closed for update in round.updates),
        "aggregate_bytes": model_bytes[-1],
        "model_bytes": model_bytes[-1] if way.mode is AdapterMode.FFA else sum(model_bytes),
    }


def _build_tables(cells: Sequence[Document]) -> str:
    rows = []
    for rule in get_axis(cells, "rule"):
        own = select(cells, rule=rule)
        means = [float(np.mean(cell["relative_errors"])) for cell in own]
        worst = max(max(cell["relative_errors"]) for cell in own)
        sizes = [f"{own[0][name]:,}" for name in ("update_bytes", "aggregate_bytes", "model_bytes")]
        accuracy = format_values(collect(own, "accuracy"))
        rows.append([rule, accuracy, _format_error(means), f"{worst:.2e}", *sizes, str(len(own))])
    head = [
        "way", "accuracy", "relative error, mean over rounds", "worst", "update, bytes", "aggregate of a round, bytes",
        "model's adapter after all rounds, bytes", "seeds",
    ]  # fmt: skip
    return build_markdown(head, rows) + (
        "\nThe relative error is that of what a round adds to the weights against the exact mean of the clients' "
        "products B·A, in the Frobenius norm over all modules. FFA has clients of its own: their A is frozen.\n"
    )


def _format_error(values: Sequence[float]) -> str:
    interval = compute_interval(values)
    return f"{interval.mean:.2e}" if interval.half is None else f"{interval.mean:.2e} ± {interval.half:.0e}"


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    bars = {rule: compute_interval(collect(select(cells, rule=rule), "accuracy")) for rule in get_axis(cells, "rule")}
    return (draw_bars(bars, "Accuracy by way of adding updates up", folder / "aggregation-accuracy.png"),)


AGGREGATION: Final = Experiment(
    name="aggregation",
    sentence="Separate means of A and B, FFA, stacking, and product mean with SVD, without attackers.",
    rules=tuple(WAYS),
    get_settings=WAYS.__getitem__,
    run_cell=_run_cell,
    build_tables=_build_tables,
    draw=_draw,
)
