"""One model for all domains against every trainer's own: accuracy by domain, seed by seed.

A specialist is a trainer alone, on its own rows, for as many steps as it trains for the shared model. Nobody attacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from flockchain_ml.data import DOMAINS
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.figures import compute_figures
from flockchain_ml.experiments.intervals import Interval, compute_interval
from flockchain_ml.experiments.plots import draw_groups
from flockchain_ml.experiments.rehearsal import Rehearsal
from flockchain_ml.experiments.tables import build_markdown, format_values, get_axis, select
from flockchain_ml.models import LoadedModel

__all__ = ["CROSS_DOMAIN", "compute_contest"]

_DOMAINS: Final = tuple(domain.name for domain in DOMAINS)
_DOMAINS_WON_MIN: Final = 3


def compute_contest(shared: Mapping[str, float], alone: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """By how many points the shared model beats the best specialist on average, and on how many domains each of them.

    Accuracies by domain; `alone` by trainer. A domain is won only by strictly more.
    """
    averages = {name: fmean(own[domain] for domain in _DOMAINS) for name, own in alone.items()}
    best = max(averages, key=lambda name: averages[name])
    won = {name: sum(shared[domain] > own[domain] for domain in _DOMAINS) for name, own in alone.items()}
    return {
        "shared_average": fmean(shared[domain] for domain in _DOMAINS),
        "best_specialist": best,
        "best_specialist_average": averages[best],
        "lead": fmean(shared[domain] for domain in _DOMAINS) - averages[best],
        "domains_won": won,
        "domains_won_min": min(won.values()),
    }


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    rehearsal = Rehearsal(loaded, cell.scenario, cell.seed)
    rounds = rehearsal.run_contender(CONTENDERS[cell.rule])
    shared, base = dict(rounds[-1].measures.accuracy_by_domain), rehearsal.measure_base()
    alone = {str(trainer): dict(own.accuracy_by_domain) for trainer, own in rehearsal.run_isolated().items()}
    return {
        **compute_figures(cell.scenario, rounds),
        "base_by_domain": dict(base.accuracy_by_domain),
        "shared_by_domain": shared,
        "alone_by_domain": alone,
        "main_domains": {trainer: _DOMAINS[int(trainer) % len(_DOMAINS)] for trainer in alone},
        **compute_contest(shared, alone),
    }


def _get_alone(cell: Document, main: str) -> list[Mapping[str, float]]:
    """Accuracies by domain of the specialists of one domain."""
    return [own for trainer, own in cell["alone_by_domain"].items() if cell["main_domains"][trainer] == main]


def _build_tables(cells: Sequence[Document]) -> str:
    parts = []
    for rule in get_axis(cells, "rule"):
        own = select(cells, rule=rule)
        parts += [f"### {rule}\n", _build_domain_table(own), _describe_lead(own)]
    return "\n".join(parts)


def _build_domain_table(cells: Sequence[Document]) -> str:
    """Rows: the base, the shared model, and the specialists of each domain (mean of theirs within a seed)."""
    rows = [["base", *(format_values([cell["base_by_domain"][domain] for cell in cells]) for domain in _DOMAINS)]]
    rows += [
        [f"alone, {main}", *(
            format_values([fmean(own[domain] for own in _get_alone(cell, main)) for cell in cells])
            for domain in _DOMAINS
        )]
        for main in _DOMAINS
    ]  # fmt: skip
    rows.append(
        ["shared", *(format_values([cell["shared_by_domain"][domain] for cell in cells]) for domain in _DOMAINS)]
    )
    return build_markdown(["model", *_DOMAINS], rows)


def _describe_lead(cells: Sequence[Document]) -> str:
    lead = compute_interval([cell["lead"] for cell in cells])
    won = {cell["seed"]: cell["domains_won_min"] for cell in cells}
    holds = sum(least >= _DOMAINS_WON_MIN for least in won.values())
    shared = format_values([cell["shared_average"] for cell in cells])
    best = format_values([cell["best_specialist_average"] for cell in cells])
    return (
        f"Shared {shared} on average over domains, the best specialist {best}: a lead of {lead.format(1, 100)} "
        f"points.\n\nIt beats every specialist on at least {_DOMAINS_WON_MIN} of {len(_DOMAINS)} domains on {holds} of "
        f"{len(won)} seeds (the fewest domains won against any specialist: {min(won.values())}).\n"
    )


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    files = []
    for rule in get_axis(cells, "rule"):
        own = select(cells, rule=rule)
        groups: dict[str, list[Interval]] = {
            "base": [compute_interval([cell["base_by_domain"][domain] for cell in own]) for domain in _DOMAINS],
            "best alone": [
                compute_interval([max(alone[domain] for alone in cell["alone_by_domain"].values()) for cell in own])
                for domain in _DOMAINS
            ],
            "shared": [compute_interval([cell["shared_by_domain"][domain] for cell in own]) for domain in _DOMAINS],
        }
        title = "Accuracy by domain: shared against the best of all specialists on each"
        files.append(draw_groups(_DOMAINS, groups, title, folder / f"cross-domain-{rule}.png"))
    return tuple(files)


CROSS_DOMAIN: Final = Experiment(
    name="cross-domain",
    sentence="The shared model against each isolated specialist, on its own domain and on the others.",
    rules=("ours",),
    known=tuple(name for name, contender in CONTENDERS.items() if not contender.probe_kinds),
    get_settings=CONTENDERS.__getitem__,
    run_cell=_run_cell,
    build_tables=_build_tables,
    draw=_draw,
)
