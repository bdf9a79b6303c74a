"""The learning side's part of a devnet: a task to run, figures to report, plots to look at."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from flockchain.client.task_file import decode_task_file
from flockchain.devnet.report import MODEL_FIELDS
from flockchain.runtime.pallets.tasks import CreateTask
from flockchain_ml.data import DOMAINS, is_held_out
from flockchain_ml.evaluation import Measures
from flockchain_ml.experiments import devnet
from flockchain_ml.experiments.plots import draw_plots
from flockchain_ml.models import LoadedModel, compute_folder_digest
from flockchain_ml.rows import read_rows
from flockchain_ml.trainer import TrainSettings
from tests.kit.runtime_chain import RuntimeChain

SMALL = replace(
    devnet.DEMO, rows_per_trainer=12, prompts_per_round=20, suite_rows=100, test_rows=16,
    training=TrainSettings(steps=1, batch_rows=2),
)  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(devnet, "DEMO", SMALL)
    devnet.main(
        ["prepare", "--home", str(tmp_path), "--seed", "3", "--trainers", "5", "--rounds", "1", "--validators", "2"]
    )
    return tmp_path


def test_what_is_prepared_is_a_task_that_the_chain_takes(prepared: Path) -> None:
    suite = (prepared / "suite.jsonl").read_bytes()
    spec = decode_task_file((prepared / "task.toml").read_bytes(), suite)
    assert spec.base_model == compute_folder_digest(prepared / "model")
    assert (spec.rounds, spec.max_updates, spec.committee_size) == (1, 5, 2)
    assert RuntimeChain.start().call("faucet", "tasks.create", CreateTask(spec)) == ""
    shards = [read_rows(prepared / f"trainer-{at}" / "rows.jsonl") for at in range(5)]
    assert len(set(shards)) == 5
    assert not any(is_held_out(row.prompt) for shard in shards for row in shard)


def test_the_undefended_and_the_isolated_runs_say_how_far_they_are(
    prepared: Path, tiny: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = replace(SMALL, trainers=5, malicious=1, rounds=1)
    undefended = devnet._rehearse_undefended(scenario, prepared / "model", 3)
    isolated = devnet.Rehearsal(tiny, scenario, 3, devnet._say).run_isolated()
    assert len(undefended) == 1
    assert sorted(isolated) == [0, 1, 2, 3]
    said = capsys.readouterr().out.splitlines()
    assert said == ["progress: fedavg, round 1 of 1", *(f"progress: trainer {at} alone" for at in range(4))]


def test_every_plot_of_a_report_is_drawn(tmp_path: Path) -> None:
    measures = Measures(0.5, {domain.name: 0.5 for domain in DOMAINS}, 0.1)
    rounds = [asdict(measures)] * 2
    model: dict[str, object] = dict.fromkeys(MODEL_FIELDS, 0.5)
    model |= {"base": asdict(measures), "rounds": rounds, "rounds_undefended": rounds}
    model |= {"isolated": {"trainer-0": asdict(measures)}}
    participants = [
        {"name": "validator-0", "role": "validator", "earned": 5 * 10**9, "stake": 10**14},
        {"name": "trainer-0", "role": "trainer", "earned": -1, "attack": "backdoor"},
    ]
    (tmp_path / "report.json").write_text(json.dumps({"model": model, "participants": participants}))
    devnet.main(["plot", "--report", str(tmp_path / "report.json"), "--to", str(tmp_path / "plots")])
    files = sorted((tmp_path / "plots").iterdir())
    assert [file.name for file in files] == ["domains.png", "participants.png", "rounds.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    nothing = {**model, "rounds": [], "rounds_undefended": [], "isolated": {}}
    assert len(draw_plots({"model": nothing}, tmp_path / "empty")) == 3
