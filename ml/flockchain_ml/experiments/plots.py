"""The plots of a devnet's report: how the model and the attack fared, who knows what, who earned what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

__all__ = ["draw_plots"]

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


def _save(figure: Any, file: Path) -> Path:
    figure.tight_layout()
    figure.savefig(file, dpi=_DPI)
    plt.close(figure)
    return file
