"""How far probes carry: to other data, an attack never seen, a corpus never seen, another A, and later rounds.

Two probes of uploads are compared. Logistic: Safe-FedLLM's, of the direction of the first layer's ΔB, fitted to local
steps and asked about the last one, which is the upload. Integer: ours, of exact statistics of a round. Both are fitted
to the same trainings of other data seeds. Four of ten trainers attack in every rehearsal, one of each main corpus; the
model of a later round is the one that honest trainers alone have made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterSpec
from flockchain_ml.data import DOMAINS
from flockchain_ml.experiments.cell import Cell, Document
from flockchain_ml.experiments.experiment import Experiment
from flockchain_ml.experiments.intervals import compute_interval
from flockchain_ml.experiments.plots import draw_groups
from flockchain_ml.experiments.probe_training import Collection, Plan, build_probe_modules
from flockchain_ml.experiments.tables import build_markdown, format_values, select
from flockchain_ml.models import LoadedModel
from flockchain_ml.probes import (
    BENIGN,
    PROBES,
    compute_auc,
    compute_fpr_at_tpr,
    compute_statistics_table,
)
from flockchain_ml.probes.fitting import fit_integer_probe, fit_logistic_probe
from flockchain_ml.tensors import FloatArray

__all__ = ["PROBE", "SHOWN_ATTACKS", "Sample", "Verdict", "collect_samples", "judge_splits"]

SHOWN_ATTACKS: Final = ("backdoor", "harmful-answers", "label-flip", "norm-penalised", "rare-poison-25")
FIT_SEEDS: Final = (51, 52)  # no table's data
_MALICIOUS_PERCENT: Final = 40
_STEPS_KEPT: Final = 10  # of every training, evenly, the last among them
_OTHER_TASK: Final = 10_000  # added to a task's seed: another A
_KINDS: Final = ("logistic", "integer")
_BOTH: Final = "both-probes"


@dataclass(frozen=True, slots=True)
class Sample:
    """One update as either probe sees it. `steps`: features of ΔB, the upload's last. `corpus`: its main domain."""

    attack: str
    rehearsal: str
    corpus: str
    steps: tuple[FloatArray, ...]
    statistics: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a probe does on updates that it was not fitted to."""

    auc: float
    fpr_at_95_tpr: float


def collect_samples(collection: Collection, seed: int, round: int, lineage: tuple[bytes, ...]) -> tuple[Sample, ...]:
    """All updates of a round on this model: once nobody attacks, and once with each attack of the plan."""
    found = []
    for attack in (BENIGN, *collection.plan.attacks):
        observed = collection.observe_round(seed, attack, round, lineage)
        table = compute_statistics_table(
            [decode_update(one.update, collection.spec) for one in observed], tuple(PROBES)
        )
        found += [
            Sample(one.attack, attack, DOMAINS[one.trainer % len(DOMAINS)].name, _thin(one.features), row)
            for one, row in zip(observed, table, strict=True)
        ]
    return tuple(found)


def judge_splits(
    fitted: Sequence[Sample], tests: Mapping[str, Sequence[Sample]], spec: AdapterSpec
) -> dict[str, dict[str, Verdict]]:
    """By split and probe. `tests`: same, other-a, late. What is left out is left out of what the probe is fitted to."""
    same = tests["same"]
    splits = {name: (fitted, samples) for name, samples in tests.items()}
    for attack in sorted({one.rehearsal for one in fitted} - {BENIGN}):
        seen = [one for one in fitted if one.rehearsal != attack]
        splits[f"attack {attack}"] = (seen, [one for one in same if one.rehearsal == attack])
    for domain in DOMAINS:
        seen = [one for one in fitted if one.corpus != domain.name]
        splits[f"corpus {domain.name}"] = (seen, [one for one in same if one.corpus == domain.name])
    fits: dict[tuple[str, ...], dict[str, Callable[[Sample], float]]] = {}
    judged = {}
    for name, (train, test) in splits.items():
        key = ("all",) if train is fitted else (name,)
        if key not in fits:
            fits[key] = {kind: _fit(kind, train, spec) for kind in _KINDS}
        labels = [one.attack != BENIGN for one in test]
        scores = {kind: [score(one) for one in test] for kind, score in fits[key].items()}
        judged[name] = {
            kind: Verdict(compute_auc(own, labels), compute_fpr_at_tpr(own, labels)) for kind, own in scores.items()
        }
    return judged


def _thin(features: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
    stride = max(1, len(features) // _STEPS_KEPT)
    return tuple(features[::-1][::stride][::-1])


def _fit(kind: str, samples: Sequence[Sample], spec: AdapterSpec) -> Callable[[Sample], float]:
    """A probe of this kind, as what it makes of a sample; higher is more suspect."""
    if kind == "integer":
        rows, labels = [one.statistics for one in samples], [one.attack != BENIGN for one in samples]
        integer = fit_integer_probe(tuple(PROBES), rows, labels)
        return lambda one: float(integer.judge_statistics(one.statistics).margin)
    steps = [(one.attack != BENIGN, feature) for one in samples for feature in one.steps]
    features, labels = [feature for _, feature in steps], [label for label, _ in steps]
    logistic = fit_logistic_probe(build_probe_modules(spec), features, labels)
    return lambda one: logistic.score_feature(one.steps[-1])


def _run_cell(loaded: LoadedModel, cell: Cell) -> dict[str, Any]:
    late = cell.scenario.rounds - 1
    plan = Plan("step", SHOWN_ATTACKS, FIT_SEEDS, 1, cell.scenario.malicious, cell.seed, cell.scenario)

    def collect(data_seed: int, task_seed: int) -> tuple[Sample, ...]:
        return collect_samples(Collection(loaded, replace(plan, task_seed=task_seed)), data_seed, 0, ())

    fitted = [sample for seed in plan.seeds for sample in collect(seed, cell.seed)]
    walk = Collection(loaded, plan)
    lineage: tuple[bytes, ...] = ()
    for round in range(late):
        lineage = walk.append_honest(lineage, walk.observe_round(cell.seed, BENIGN, round, lineage))
    tests = {
        "same": collect(cell.seed, cell.seed),
        "other-a": collect(cell.seed, cell.seed + _OTHER_TASK),
        "late": collect_samples(Collection(loaded, plan), cell.seed, late, lineage),
    }
    judged = judge_splits(fitted, tests, cell.scenario.build_spec(loaded, cell.seed))
    return {
        "accuracy": None, "attack_success_rate": None, "honest_rejected": None, "rounds": [],
        "fitted_updates": len(fitted), "tested_updates": len(tests["same"]), "late_round": late,
        "splits": {
            split: {kind: [verdict.auc, verdict.fpr_at_95_tpr] for kind, verdict in by_kind.items()}
            for split, by_kind in judged.items()
        },
    }  # fmt: skip


def _get_figures(cells: Sequence[Document], splits: Sequence[str], kind: str, at: int) -> list[float]:
    """One a seed: the mean over the splits."""
    return [sum(cell["splits"][split][kind][at] for split in splits) / len(splits) for cell in cells]


def _group_splits(cells: Sequence[Document]) -> dict[str, list[str]]:
    """Rows of the table: each split, and the means over left-out attacks and corpora."""
    names = list(cells[0]["splits"])
    attacks = [name for name in names if name.startswith("attack ")]
    corpora = [name for name in names if name.startswith("corpus ")]
    late = f"a model of {cells[0]['late_round']} rounds"
    return {
        "same attacks, other data": ["same"],
        "an attack never seen, mean": attacks,
        **{f"- {name.removeprefix('attack ')}": [name] for name in attacks},
        "a corpus never seen, mean": corpora,
        **{f"- {name.removeprefix('corpus ')}": [name] for name in corpora},
        "another A": ["other-a"],
        late: ["late"],
    }


def _build_tables(cells: Sequence[Document]) -> str:
    own = select(cells, rule=_BOTH)
    rows = []
    for row, splits in _group_splits(own).items():
        figures = [format_values(_get_figures(own, splits, kind, at)) for kind in _KINDS for at in range(2)]
        rows.append([row, *figures, str(len(own))])
    head = ["tested on", *(f"{kind}: {figure}" for kind in _KINDS for figure in ("AUC", "FPR at 95 % TPR")), "seeds"]
    return (
        build_markdown(head, rows)
        + f"\nFitted to {own[0]['fitted_updates']} updates, tested on about {own[0]['tested_updates']} a split; an AUC "
        "of .5 is chance, below it the verdict is the wrong way round. The probes' threshold plays no part here.\n"
    )


def _draw(cells: Sequence[Document], folder: Path) -> tuple[Path, ...]:
    own = select(cells, rule=_BOTH)
    shown = {row: splits for row, splits in _group_splits(own).items() if not row.startswith("- ")}
    groups = {
        kind: [compute_interval(_get_figures(own, splits, kind, 0)) for splits in shown.values()] for kind in _KINDS
    }
    return (draw_groups(list(shown), groups, "AUC of the probes", folder / "probe-auc.png"),)


PROBE: Final = Experiment(
    name="probe",
    sentence=(
        "Safe-FedLLM's probe and ours on what they were not fitted to. A cell has rehearsals without an attack and "
        f"with each of {', '.join(SHOWN_ATTACKS)}."
    ),
    rules=(_BOTH,),
    ratios=(_MALICIOUS_PERCENT,),
    get_settings=lambda rule: (rule, SHOWN_ATTACKS, FIT_SEEDS, _STEPS_KEPT, _OTHER_TASK),
    run_cell=_run_cell,
    build_tables=_build_tables,
    draw=_draw,
)
