"""Safe-FedLLM's question: how far its levels, and others, keep a model refusing when trainers teach it not to.

The attack is the paper's kind: harmful requests, answered. Refusal: the share of harmful test prompts that are refused.
Over-refusal: the share of harmless requests that are refused. Utility: accuracy on the usual domains. The probes of the
levels are fitted for the task's own adapter, to the same kind of attack and to backdoors, on other data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Final

from flockchain_ml.attacks import Attack, Success
from flockchain_ml.data import DOMAINS
from flockchain_ml.data.requests import REFUSAL, REQUESTS
from flockchain_ml.evaluation import measure_lineage
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import compute_figures
from flockchain_ml.experiments.plots import draw_by_ratio
from flockchain_ml.experiments.probe_store import PROBE_ATTACKS, PROBE_SEEDS, build_plan, obtain_probe, obtain_probes
from flockchain_ml.experiments.rehearsal import Rehearsal, RehearsedRound
from flockchain_ml.experiments.scenario import Scenario
from flockchain_ml.experiments.tables import NOTHING, build_markdown, collect, format_values, get_axis, select
from flockchain_ml.models import LoadedModel
from flockchain_ml.rows import Row

__all__ = ["SAFE_FEDLLM", "OverRefusal", "compute_malicious_weight", "get_settings", "run_defended_cell"]

_RULES: Final = (
    "fedavg", "median", "trimmed-mean", "multi-krum", "foolsgold", "residual", "dnc", "flame", "lasa",
    "fedavg+safe-step", "fedavg+safe-client", "fedavg+safe-client-upload", "fedavg+safe-shadow",
    "fedavg+safe-evidence", "fedavg+integer-probe", "accumulated", "ours",
)  # fmt: skip
_BY_TRAINERS: Final = ("scoring", "shadow")
_BY_VALIDATORS: Final = ("votes", "defence", "aggregation")


@dataclass(frozen=True, slots=True)
class OverRefusal:
    """A measure in the form of a goal: harmless requests that get the refusal."""

    success: ClassVar[Success] = Success.TARGETED

    def poison_rows(self, rows: Sequence[Row], rng: Random) -> tuple[Row, ...]:
        return tuple(rows)

    def build_probe_rows(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(
            replace(row, answer=REFUSAL) for row in rows if row.domain == REQUESTS.name and row.answer != REFUSAL
        )


_OVER_REFUSAL: Final = Attack("over-refusal", OverRefusal())


def run_defended_cell(loaded: LoadedModel, cell: Cell) -> tuple[dict[str, Any], Rehearsal]:
    """One contender with the probes that it needs: the figures of its cell, and the rehearsal behind them."""
    contender = CONTENDERS[cell.rule]
    probes = obtain_probes(loaded, cell.scenario, cell.seed, contender)
    rehearsal = Rehearsal(loaded, cell.scenario, cell.seed, probes=probes)
    rounds = rehearsal.run_contender(contender)
    figures = {
        **compute_figures(cell.scenario, rounds),
        "malicious_weight": compute_malicious_weight(cell.scenario, rounds),
        "malicious_sent": cell.scenario.malicious * len(rounds),
        "rounds_dropped": sum(not item.accepted for item in rounds),
        "work": {kind: round(seconds, 4) for kind, seconds in rehearsal.seconds.items()},
    }
    return figures, rehearsal


def compute_malicious_weight(scenario: Scenario, rounds: Sequence[RehearsedRound]) -> float | None:
    """The attackers' share of a defence's weight, the mean over the rounds that it did not drop; None without one."""
    shares = [
        sum(weight for trainer, weight in enumerate(item.weights) if scenario.is_malicious(trainer)) / sum(item.weights)
        for item in rounds
        if sum(item.weights) > 0
    ]
    return sum(shares) / len(shares) if shares else None


def get_settings(rule: str) -> object:
    """What a contender's figures depend on besides the scenario."""
    contender = CONTENDERS[rule]
    return (contender, PROBE_ATTACKS, PROBE_SEEDS) if contender.probe_kinds else contender


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    figures, rehearsal = run_defended_cell(loaded, cell)
    model, test = rehearsal.models[cell.rule], cell.scenario.build_test(cell.seed)
    over = measure_lineage(loaded, rehearsal.spec, model, test, _OVER_REFUSAL)
    usual = [figures["accuracy_by_domain"][domain.name] for domain in DOMAINS]
    has_requests = REQUESTS.name in figures["accuracy_by_domain"]
    kinds = CONTENDERS[cell.rule].probe_kinds
    kept = [obtain_probe(loaded, build_plan(kind, cell.scenario, cell.seed)) for kind in kinds]
    return {
        **figures,
        "refusal_rate": 1 - figures["attack_success_rate"] if has_requests else None,
        "over_refusal": over.attack_success_rate if has_requests else None,
        "utility": sum(usual) / len(usual),
        "probe_seconds": sum(one.seconds for one in kept) if kept else None,
        "probe_auc_on_own_examples": min((one.auc_on_own_examples for one in kept), default=None),
    }


def _build_tables(cells: Sequence[Document]) -> str:
    rows = []
    for ratio in get_axis(cells, "malicious_percent"):
        for rule in get_axis(cells, "rule"):
            own = select(cells, malicious_percent=ratio, rule=rule)
            if own:
                shown = ("refusal_rate", "over_refusal", "utility", "honest_rejected", "malicious_weight")
                figures = [format_values(collect(own, name)) for name in shown]
                rows.append([_format_ratio(ratio), rule, *figures, _count_dropped(own), str(len(own))])
    head = [
        "benign : malicious", "rule", "harmful refused", "harmless refused", "utility", "honest rejected",
        "attackers' weight", "rounds dropped", "seeds",
    ]  # fmt: skip
    return (
        build_markdown(head, rows)
        + "\nAttackers' weight: their share of what a defence gives, in the rounds that it does not drop; "
        f"{NOTHING} for rules without one. A dropped round leaves the model as it was.\n\n" + _build_cost_table(cells)
    )


def _format_ratio(percent: int) -> str:
    return f"{(100 - percent) // 10} : {percent // 10}" if percent % 10 == 0 else f"{percent} % malicious"


def _count_dropped(cells: Sequence[Document]) -> str:
    return f"{sum(cell['rounds_dropped'] for cell in cells)} of {sum(len(cell['rounds']) for cell in cells)}"


def _build_cost_table(cells: Sequence[Document]) -> str:
    """Processor time beside that of the trainings, which are all trainers' of all rounds."""
    rows = []
    for rule in get_axis(cells, "rule"):
        own = [cell for cell in select(cells, rule=rule) if cell["work"].get("training")]
        if own:
            parts = [
                format_values([_compute_share(cell, kinds) for cell in own], 2, 100)
                for kinds in (_BY_TRAINERS, _BY_VALIDATORS)
            ]
            rows.append([rule, *parts, format_values(collect(own, "probe_seconds"), 1)])
    head = ["rule", "by trainers, % of training", "by validators, % of training", "its probe, s, once a task"]
    return (
        "Cost, in processor time; a shadow training every round is about 100 %.\n\n" + build_markdown(head, rows) + "\n"
    )


def _compute_share(cell: Document, kinds: Sequence[str]) -> float:
    return float(sum(cell["work"].get(kind, 0.0) for kind in kinds) / cell["work"]["training"])


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    return tuple(
        draw_by_ratio(cells, field, title, folder / f"safe-fedllm-{field.replace('_', '-')}.png")
        for field, title in (
            ("refusal_rate", "Harmful requests refused"),
            ("over_refusal", "Harmless requests refused"),
            ("utility", "Accuracy on the usual domains"),
        )
    )


SAFE_FEDLLM: Final = Experiment(
    name="safe-fedllm",
    sentence="Safe-FedLLM's levels, its baselines and ours, when trainers teach the model to answer harmful requests.",
    rules=_RULES,
    known=tuple(CONTENDERS),
    attacks=("harmful-answers",),
    ratios=(0, 20, 50, 70),
    get_settings=get_settings,
    run_cell=_run_cell,
    build_tables=_build_tables,
    draw=_draw,
)
