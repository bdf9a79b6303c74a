"""Plots: of a devnet's report (how the model and the attack fared, who earned what), and of experiments over seeds.

Those of experiments draw the 95 % interval over seeds around every mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

from flockchain_ml.experiments.intervals import Interval, compute_interval

__all__ = ["draw_bars", "draw_by_ratio", "draw_groups", "draw_plots"]

_GREEN, _RED, _BLUE, _GREY = "#1b7f5c", "#c0392b", "#2c5aa0", "#9aa0a6"
_DPI: Final = 130
_UNITS_PER_FLOCK: Final = 10**9


def draw_plots(report: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    """Draw all plots into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    model = report["model"]
    return (
        _draw_rounds(model, folder / "rounds.png"),
        _draw_domains(model, folder / "domains.png"),
        _draw_participants(report.get("participants", []), folder / "participants.png"),
    )


def _draw_rounds(model: Mapping[str, Any], file: Path) -> Path:
    """Accuracy and attack success rate by round, with the votes' filter and without."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharex=True)
    for axis, field, title in (
        (axes[0], "accuracy", "Accuracy on clean prompts"),
        (axes[1], "attack_success_rate", "Attack success rate"),
    ):
        for rounds, colour, label in (
            (model["rounds"], _GREEN, "validated by vote"),
            (model["rounds_undefended"], _RED, "plain FedAvg, no votes"),
        ):
            values = [model["base"][field], *(item[field] for item in rounds)]
            axis.plot(range(len(values)), values, marker="o", color=colour, label=label)
        axis.set_title(title)
        axis.set_xlabel("certified rounds")
        axis.set_ylim(-0.03, 1.03)
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower right", frameon=False)
    return _save(figure, file)


def _draw_domains(model: Mapping[str, Any], file: Path) -> Path:
    """The shared model against each trainer alone, by domain."""
    last = model["rounds"][-1] if model["rounds"] else model["base"]
    columns = {"base": model["base"], "shared": last, **model["isolated"]}
    domains = sorted(last["accuracy_by_domain"])
    figure, axis = plt.subplots(figsize=(10, 4))
    width = 0.8 / len(columns)
    for at, (name, measures) in enumerate(columns.items()):
        heights = [measures["accuracy_by_domain"].get(domain, 0.0) for domain in domains]
        colour = {"base": _GREY, "shared": _GREEN}.get(name, _BLUE)
        places = [index + (at - (len(columns) - 1) / 2) * width for index in range(len(domains))]
        alpha = 1.0 if name in ("base", "shared") else 0.35 + 0.5 * at / len(columns)
        axis.bar(places, heights, width * 0.92, color=colour, alpha=alpha, label=name)
    axis.set_xticks(range(len(domains)), domains)
    axis.set_ylim(0, 1)
    axis.set_title("Accuracy by domain: the shared model against trainers alone")
    axis.legend(ncols=4, frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return _save(figure, file)


def _draw_participants(participants: Sequence[Mapping[str, Any]], file: Path) -> Path:
    """What the task brought each participant, net of bonds, fees and slashes; and the validators' stake."""
    figure, (earned, stake) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=[3, 1])
    names = [item["name"] for item in participants]
    values = [item["earned"] / _UNITS_PER_FLOCK for item in participants]
    colours = [
        _BLUE if item["role"] == "validator" else (_RED if item.get("attack") else _GREEN) for item in participants
    ]
    earned.bar(names, values, color=colours)
    earned.axhline(0, color="black", linewidth=0.8)
    earned.tick_params(axis="x", rotation=70, labelsize=8)
    earned.set_title("Earned, in FLOCK (blue validators, green honest, red attackers)", fontsize=10)
    validators = [item for item in participants if item["role"] == "validator"]
    stake.bar([item["name"] for item in validators], [item["stake"] / _UNITS_PER_FLOCK for item in validators],
              color=_BLUE)  # fmt: skip
    stake.tick_params(axis="x", rotation=70, labelsize=8)
    stake.set_title("Stake, in FLOCK", fontsize=10)
    return _save(figure, file)


def draw_by_ratio(cells: Sequence[Mapping[str, Any]], field: str, title: str, file: Path) -> Path:
    """A line a rule: the mean of `field` by share of attackers. Cells without the figure are left out."""
    figure, axis = plt.subplots(figsize=(8, 5))
    rules = list(dict.fromkeys(cell["rule"] for cell in cells))
    for at, rule in enumerate(rules):
        known = [cell for cell in cells if cell["rule"] == rule and cell[field] is not None]
        ratios = sorted({cell["malicious_percent"] for cell in known})
        found = [compute_interval([c[field] for c in known if c["malicious_percent"] == ratio]) for ratio in ratios]
        shift = (at - (len(rules) - 1) / 2) * 0.4  # intervals of equal places would hide one another
        axis.errorbar(
            [ratio + shift for ratio in ratios], [item.mean for item in found], yerr=_get_halves(found), marker="o",
            capsize=3, linewidth=2.5 if rule == "ours" else 1.2, label=rule, color=_GREEN if rule == "ours" else None,
        )  # fmt: skip
    axis.set_xlabel("malicious trainers, %")
    axis.set_title(title)
    axis.set_ylim(-0.03, 1.03)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8, ncols=2)
    return _save(figure, file)


def draw_bars(bars: Mapping[str, Interval], title: str, file: Path, *, is_log: bool = False) -> Path:
    """One bar a name."""
    figure, axis = plt.subplots(figsize=(max(5.0, 1.1 * len(bars)), 4))
    found = list(bars.values())
    axis.bar(list(bars), [item.mean for item in found], yerr=_get_halves(found), capsize=4, color=_BLUE)
    axis.tick_params(axis="x", rotation=25, labelsize=8)
    axis.set_title(title, fontsize=10)
    if is_log:
        axis.set_yscale("log")
    return _save(figure, file)


def draw_groups(names: Sequence[str], groups: Mapping[str, Sequence[Interval]], title: str, file: Path) -> Path:
    """Bars side by side: at each name one of every group."""
    figure, axis = plt.subplots(figsize=(8, 4))
    width = 0.8 / len(groups)
    for at, (group, found) in enumerate(groups.items()):
        places = [index + (at - (len(groups) - 1) / 2) * width for index in range(len(names))]
        axis.bar(places, [item.mean for item in found], width * 0.92, yerr=_get_halves(found), capsize=3, label=group)
    axis.set_xticks(range(len(names)), list(names))
    axis.set_ylim(0, 1)
    axis.set_title(title, fontsize=10)
    axis.legend(frameon=False, fontsize=8, ncols=len(groups))
    return _save(figure, file)


def _get_halves(found: Sequence[Interval]) -> list[float]:
    return [item.half or 0.0 for item in found]


def _save(figure: Any, file: Path) -> Path:
    figure.tight_layout()
    figure.savefig(file, dpi=_DPI)
    plt.close(figure)
    return file
