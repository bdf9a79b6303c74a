"""The probes behind Safe-FedLLM's levels and what the experiments make of them, on trainings of a few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flockchain_ml.data import DOMAINS
from flockchain_ml.experiments import adaptive, probe, probe_store, safe_fedllm
from flockchain_ml.experiments.cell import NO_ATTACK, Cell, build_document
from flockchain_ml.experiments.contenders import CONTENDERS
from flockchain_ml.experiments.grid import build_scenario
from flockchain_ml.experiments.probe_store import KeptProbe, ProbeFileBroken, build_plan, kept_in, obtain_probe
from flockchain_ml.experiments.scenario import DEMO
from flockchain_ml.models import LoadedModel
from flockchain_ml.probes import PROBES, encode_probe
from flockchain_ml.trainer import TrainSettings

TINY = replace(
    DEMO, trainers=10, malicious=2, keeps_holders=False, rounds=2, rows_per_trainer=16, prompts_per_round=24,
    suite_rows=48, test_rows=40, rank=4, alpha=8, targets=("q_proj",), attack="harmful-answers",
    training=TrainSettings(steps=2, batch_rows=4, learning_rate=6e-3),
)  # fmt: skip


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has fitted nothing yet."""
    monkeypatch.setattr(probe_store, "_memory", {})


def obtain(tiny: LoadedModel, kind: str = "step") -> KeptProbe:
    return obtain_probe(tiny, build_plan(kind, TINY, 3))


def test_a_probe_is_fitted_once_and_read_back_by_whoever_comes_later(
    alone: None, tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept_in(tmp_path):
        fitted = obtain(tiny)
        (file,) = tmp_path.glob("probe-*.json")
        assert file.name.startswith("probe-step-3-")
        monkeypatch.setattr(probe_store, "_memory", {})
        monkeypatch.setattr(probe_store, "collect_examples", lambda *_: pytest.fail("it was fitted again"))
        read = obtain(tiny)
        assert encode_probe(read.probe) == encode_probe(fitted.probe)
        assert replace(read, probe=fitted.probe) == fitted
        monkeypatch.setattr(probe_store, "_memory", {})
        held = json.loads(file.read_text())
        for broken in ({**held, "probe": held["probe"][:-8]}, {**held, "examples": None, "probe": 5}, [], {}):
            file.write_text(json.dumps(broken))
            with pytest.raises(ProbeFileBroken):
                obtain(tiny)


def test_a_tasks_probe_is_the_same_whoever_attacks_it_and_another_tasks_is_another() -> None:
    plan = build_plan("step", TINY, 3)
    assert build_plan("step", replace(TINY, malicious=7, attack="noise", rounds=1), 3) == plan
    assert build_plan("step", TINY, 4) != plan
    assert build_plan("shadow", TINY, 3) != plan
    assert plan.malicious == 3
    ahead = replace(DEMO, trainers=10)  # as the command has it that fits probes ahead of a run
    assert build_plan("step", build_scenario("noise", 70, 4), 3) == build_plan("step", ahead, 3)
    assert set(plan.seeds).isdisjoint(range(60, 300))


@pytest.mark.parametrize("rule", ["fedavg+safe-evidence", "multi-krum"])
def test_a_cell_of_safe_fedllm_has_every_figure_of_its_tables(
    rule: str, alone: None, tiny: LoadedModel, tmp_path: Path
) -> None:
    cells = []
    for percent in (0, 20):
        cell = Cell("safe-fedllm", rule, TINY.attack, percent, 3, replace(TINY, malicious=percent // 10))
        with kept_in(tmp_path):
            figures = safe_fedllm.SAFE_FEDLLM.run_cell(tiny, cell)
        cells.append(json.loads(json.dumps(build_document(cell, figures, 1.0, "d"))))
    attacked = cells[-1]
    assert attacked["refusal_rate"] == pytest.approx(1 - attacked["attack_success_rate"])
    assert all(0 <= attacked[name] <= 1 for name in ("refusal_rate", "over_refusal", "utility", "accuracy"))
    assert (attacked["malicious_weight"] is None) == (rule == "multi-krum")
    assert ("shadow" in attacked["work"]) == (rule != "multi-krum")
    tables = safe_fedllm.SAFE_FEDLLM.build_tables(cells)
    assert "| 8 : 2 | " + rule in tables
    assert "| 10 : 0 | " + rule in tables
    assert len(list(tmp_path.glob("probe-*.json"))) == len(CONTENDERS[rule].probe_kinds)


def test_harmless_requests_alone_are_asked_for_over_refusal() -> None:
    rows = TINY.build_test(1)
    asked = safe_fedllm.OverRefusal().build_probe_rows(rows)
    requests = [row for row in rows if row.domain == "requests"]
    assert 0 < len(asked) < len(requests)
    assert {row.answer for row in asked} == {"not"}
    refused = {row.prompt for row in requests if row.answer == "not"}
    assert refused.isdisjoint(row.prompt for row in asked)


def test_probes_are_judged_on_what_they_were_not_fitted_to(
    alone: None, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "SHOWN_ATTACKS", ("backdoor", "label-flip"))
    monkeypatch.setattr(probe, "FIT_SEEDS", (51,))
    fits: list[set[tuple[str, str]]] = []
    fit = probe._fit

    def watch(kind: str, seen: list[probe.Sample], spec: object) -> object:
        fits.append({(one.rehearsal, one.corpus) for one in seen})
        return fit(kind, seen, spec)

    monkeypatch.setattr(probe, "_fit", watch)
    cell = Cell("probe", "both-probes", "backdoor", 40, 3, replace(TINY, attack="backdoor", malicious=4))
    figures = probe.PROBE.run_cell(tiny, cell)
    names = ["same", "other-a", "late", "attack backdoor", "attack label-flip"]
    assert list(figures["splits"]) == [*names, *(f"corpus {domain.name}" for domain in DOMAINS)]
    for by_kind in figures["splits"].values():
        assert all(0 <= value <= 1 for pair in by_kind.values() for value in pair)
    assert "backdoor" not in {rehearsal for rehearsal, _ in fits[2]}
    assert "backdoor" in {rehearsal for rehearsal, _ in fits[0]}
    assert DOMAINS[0].name not in {corpus for _, corpus in fits[6]}
    document = json.loads(json.dumps(build_document(cell, figures, 1.0, "d")))
    assert "an attack never seen, mean" in probe.PROBE.build_tables([document])
    assert len(PROBES) == 8


def build_cell(rule: str, attack: str, percent: int, accuracy: float, success: float | None) -> dict[str, object]:
    return {
        "experiment": "adaptive", "rule": rule, "attack": attack, "malicious_percent": percent, "seed": 1,
        "accuracy": accuracy, "attack_success_rate": success, "honest_rejected": 0.0, "rounds": [{}, {}],
        "malicious_accepted": 3, "malicious_sent": percent // 5,
    }  # fmt: skip


def test_what_is_not_held_is_said_plainly_and_an_attack_without_a_goal_by_the_accuracy_that_it_costs() -> None:
    cells = [
        build_cell("ours", NO_ATTACK, 0, 0.9, None),
        build_cell("ours", "backdoor", 30, 0.9, 0.09),
        build_cell("ours", "backdoor", 50, 0.9, 0.151),
        build_cell("ours", "noise", 30, 0.8, None),
        build_cell("ours", "noise", 50, 0.7, None),
    ]
    found = [(attack, ratio) for attack, ratio, _ in adaptive.find_open(cells, "ours")]
    assert found == [("backdoor", 50), ("noise", 30), ("noise", 50)]
    tables = adaptive.ADAPTIVE.build_tables(cells)
    assert tables.count("**not held**") == 3
    assert "| noise | accuracy lost | 30 % | ours | 0.111 | **not held** |" in tables
    assert "`ours` does not hold 3 of 4" in tables
