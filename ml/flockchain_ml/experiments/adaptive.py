"""Every attack there is against ours and against plain averaging: what still gets through, said plainly.

Attacks with a goal are judged by how often the model does what they want; those without one (noise, sign flip, label
flip, copycat) by the share of accuracy that they cost against the same contender's unattacked run of the same seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from flockchain_ml.attacks import ATTACKS, Success
from flockchain_ml.experiments.cell import NO_ATTACK, Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.intervals import compute_interval
from flockchain_ml.experiments.plots import draw_groups
from flockchain_ml.experiments.safe_fedllm import get_settings, run_defended_cell
from flockchain_ml.experiments.tables import build_markdown, collect, format_values, get_axis, get_success, select
from flockchain_ml.models import LoadedModel

__all__ = ["ADAPTIVE", "LIMITS", "find_open"]

OURS: Final = "ours"
LIMITS: Final = {30: 0.1, 50: 0.15}  # success from which an attack counts as not held, by share of attackers
_MEASURES: Final = {
    Success.TARGETED: "the attacker's answer",
    Success.UNREFUSED: "harmful requests answered",
    Success.UNTARGETED: "accuracy lost",
}


def find_open(cells: Sequence[Document], rule: str) -> tuple[tuple[str, int, float], ...]:
    """The attacks that this rule does not hold: name, share of attackers, mean success."""
    found = []
    for attack in _get_attacks(cells):
        for ratio, limit in LIMITS.items():
            successes = _get_successes(cells, rule, attack, ratio)
            if successes and sum(successes) / len(successes) >= limit:
                found.append((attack, ratio, sum(successes) / len(successes)))
    return tuple(found)


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    figures, _ = run_defended_cell(loaded, cell)
    return figures


def _get_attacks(cells: Sequence[Document]) -> list[str]:
    return [name for name in get_axis(cells, "attack") if name != NO_ATTACK]


def _get_successes(cells: Sequence[Document], rule: str, attack: str, ratio: int) -> list[float]:
    own = select(cells, rule=rule, attack=attack, malicious_percent=ratio)
    return [value for value in (get_success(cell, cells) for cell in own) if value is not None]


def _build_tables(cells: Sequence[Document]) -> str:
    head = ["attack", "measured by", "malicious", "rule", "attack success", "not held", "accuracy",
            "honest rejected", "malicious accepted", "seeds"]  # fmt: skip
    rows = [
        _build_row(cells, attack, ratio, rule)
        for attack in _get_attacks(cells)
        for ratio in get_axis(cells, "malicious_percent")
        if ratio
        for rule in get_axis(cells, "rule")
        if select(cells, rule=rule, attack=attack, malicious_percent=ratio)
    ]
    limits = ", ".join(f"{limit} at {ratio} %" for ratio, limit in LIMITS.items())
    clean = [
        [rule, attack, format_values(collect(own, "accuracy")), format_values(collect(own, "honest_rejected"))]
        for rule in get_axis(cells, "rule")
        for attack in get_axis(cells, "attack")
        if (own := select(cells, rule=rule, attack=attack, malicious_percent=0))
    ]
    return (
        f"Not held: the mean success is at least {limits}. Accuracy lost is the share of the accuracy of the same "
        "contender's unattacked run; such an attack has no answer of its own. A copycat costs no accuracy: what it "
        "gets is pay, so look at whether it is accepted.\n\n"
        + build_markdown(head, rows)
        + "\n"
        + "".join(_describe_open(cells, rule) for rule in get_axis(cells, "rule"))
        + "\nUnattacked runs. An attack is named where it changes everybody's rows or the task's domains.\n\n"
        + build_markdown(["rule", "attack", "accuracy", "honest rejected"], clean)
    )


def _build_row(cells: Sequence[Document], attack: str, ratio: int, rule: str) -> list[str]:
    own = select(cells, rule=rule, attack=attack, malicious_percent=ratio)
    successes = _get_successes(cells, rule, attack, ratio)
    limit = LIMITS.get(ratio)
    is_open = limit is not None and successes and sum(successes) / len(successes) >= limit
    accepted = [cell["malicious_accepted"] / cell["malicious_sent"] for cell in own]
    return [
        attack, _MEASURES[ATTACKS[attack].success], f"{ratio} %", rule, format_values(successes),
        "**not held**" if is_open else "", format_values(collect(own, "accuracy")),
        format_values(collect(own, "honest_rejected")), format_values(accepted), str(len(own)),
    ]  # fmt: skip


def _describe_open(cells: Sequence[Document], rule: str) -> str:
    found = find_open(cells, rule)
    named = ", ".join(f"{attack} at {ratio} % ({success:.2f})" for attack, ratio, success in found)
    tried = sum(bool(_get_successes(cells, rule, attack, ratio)) for attack in _get_attacks(cells) for ratio in LIMITS)
    return f"`{rule}` does not hold {len(found)} of {tried}{': ' if named else ''}{named}.\n\n"


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    files = []
    for ratio in (ratio for ratio in get_axis(cells, "malicious_percent") if ratio):
        attacks = [name for name in _get_attacks(cells) if select(cells, attack=name, malicious_percent=ratio)]
        groups = {
            rule: [compute_interval(_get_successes(cells, rule, attack, ratio)) for attack in attacks]
            for rule in get_axis(cells, "rule")
            if all(_get_successes(cells, rule, attack, ratio) for attack in attacks)
        }
        title = f"Attack success, {ratio} % malicious"
        if groups:
            files.append(draw_groups(attacks, groups, title, folder / f"adaptive-{ratio}.png"))
    return tuple(files)


ADAPTIVE: Final = Experiment(
    name="adaptive",
    sentence="Every attack at 30 and 50 %, against ours and against plain averaging.",
    rules=(OURS, "fedavg"),
    known=tuple(CONTENDERS),
    attacks=tuple(ATTACKS),
    ratios=(0, *LIMITS),
    get_settings=get_settings,
    run_cell=_run_cell,
    build_tables=_build_tables,
    draw=_draw,
)
