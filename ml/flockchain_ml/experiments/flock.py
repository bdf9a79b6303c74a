"""FLock's claim: how far a backdoor gets under the usual optimisers, and under ours, by share of attackers.

Ours is compared with each optimiser seed by seed: the relative reduction of the attack's success.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from flockchain_ml.experiments.cell import NO_ATTACK, Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import compute_figures
from flockchain_ml.experiments.plots import draw_by_ratio
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.tables import (
    ASR_FLOOR,
    build_contest_table,
    build_markdown,
    compute_reductions,
    get_axis,
    select,
)
from flockchain_ml.models import LoadedModel

__all__ = ["FLOCK", "OURS", "build_reduction_table", "run_contest_cell"]

OURS: Final = "ours"
_OPTIMISERS: Final = ("fedavg", "fedprox", "scaffold", "fedavgm", "fedadagrad", "fedyogi", "fedadam")
_CLAIM: Final = 0.68


def run_contest_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    """One contender through all rounds of the cell's scenario."""
    rounds = Rehearsal(loaded, cell.scenario, cell.seed).run_contender(CONTENDERS[cell.rule])
    return compute_figures(cell.scenario, rounds)


def build_reduction_table(cells: Sequence[Document], attack: str, claim: float) -> str:
    """How much less the attack succeeds under ours than under each rival, paired by seed."""
    rows: list[list[str]] = []
    silent: dict[str, list[str]] = {}
    for ratio in get_axis(cells, "malicious_percent"):
        here = select(cells, malicious_percent=ratio, attack=attack)
        ours = select(here, rule=OURS)
        for rival in get_axis(here, "rule") if ratio and ours else ():
            if rival == OURS:
                continue
            reduction, left_out = compute_reductions(ours, select(here, rule=rival), cells)
            if reduction is None:
                silent.setdefault(f"{ratio} %", []).append(rival)
            else:
                verdict = "yes" if reduction.mean > claim else "no"
                shown = [reduction.format(1, 100), str(reduction.count), str(left_out), verdict]
                rows.append([f"{ratio} %", rival, *shown])
    head = ["malicious", "against", "reduction, %", "seeds", "seeds left out", f"over {claim:.0%}"]
    table = build_markdown(head, rows) + "\n" if rows else ""
    uncounted = [f"At {ratio} no seed counts against {', '.join(rivals)}.\n" for ratio, rivals in silent.items()]
    return table + "\n".join(uncounted)


def _build_tables(cells: Sequence[Document]) -> str:
    parts = []
    for attack in [name for name in get_axis(cells, "attack") if name != NO_ATTACK] or [NO_ATTACK]:
        parts += [f"### {attack}\n", build_contest_table(cells, attack)]
        reductions = build_reduction_table(cells, attack, _CLAIM)
        if reductions:
            parts += [
                "Relative reduction of the attack's success by `ours`. A seed is left out where the rival's own was "
                f"under {ASR_FLOOR:.0%}: there the attack did not take, and that is no success of a defence.\n",
                reductions,
            ]
    return "\n".join(parts)


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    files = []
    for attack in (name for name in get_axis(cells, "attack") if name != NO_ATTACK):
        own = [cell for cell in cells if cell["attack"] in (attack, NO_ATTACK)]
        name = cells[0]["experiment"]
        files += [
            draw_by_ratio(own, "attack_success_rate", f"Success of {attack}", folder / f"{name}-{attack}-success.png"),
            draw_by_ratio(own, "accuracy", f"Clean accuracy under {attack}", folder / f"{name}-{attack}-accuracy.png"),
        ]
    return tuple(files)


FLOCK: Final = Experiment(
    name="flock",
    sentence="Backdoors under the usual federated optimisers and under ours, by share of attackers.",
    rules=(*_OPTIMISERS, OURS),
    attacks=("backdoor", "backdoor-quiet"),
    ratios=(0, 10, 20, 30, 40, 50),
    known=tuple(name for name, contender in CONTENDERS.items() if not contender.probe_kinds),
    get_settings=CONTENDERS.__getitem__,
    run_cell=run_contest_cell,
    build_tables=_build_tables,
    draw=_draw,
)
