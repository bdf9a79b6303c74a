"""A small devnet of real processes from an empty folder to its report, with the guide's own trainer as one of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flockchain.devnet.report import MODEL_FIELDS
from tests.house.sources import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 2
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'ml'}"}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The devnet's exit code and report, and what the guest trainer said."""
    folder = tmp_path_factory.mktemp("devnet")
    home, report = folder / "net", folder / "out" / "report.json"
    command = [
        sys.executable, "-m", "flockchain.cli", "devnet", "up", "--validators", "4", "--trainers", "3", "--guests", "1",
        "--rounds", str(ROUNDS), "--seed", "3", "--home", str(home), "--report", str(report), "--output", "json",
    ]  # fmt: skip
    devnet = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    guest = None
    try:
        wait_for_file(home / "task.toml", devnet)
        nodes = [node["api"] for node in json.loads((home / "devnet.json").read_text())["nodes"]]
        wait_for_task(nodes[0])
        guest = start_guest(home, nodes)
        said, complaints = devnet.communicate(timeout=500)
        guest_said = guest.communicate(timeout=60)[0]
    finally:
        for process in (devnet, guest):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
    return {
        "code": devnet.returncode, "said": said, "complaints": complaints, "report_file": report, "home": home,
        "guest_said": guest_said, "guest_code": guest.returncode,
    }  # fmt: skip


def start_guest(home: Path, nodes: list[str]) -> subprocess.Popen[str]:
    own = home / "trainer-0"
    script = ROOT / "docs/guide/own_trainer.py"
    words = ["0", str(home / "model"), str(own / "rows.jsonl"), str(own / "account.seed"), *nodes]
    return subprocess.Popen([sys.executable, str(script), *words], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def wait_for_file(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 200
    while not file.exists():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline, f"no {file}"
        time.sleep(0.5)


def wait_for_task(node: str) -> None:
    from flockchain.client import Client

    with Client(node) as client:
        deadline = time.monotonic() + 120
        while not client.tasks.list():
            assert time.monotonic() < deadline, "no task"
            time.sleep(0.5)


def test_the_devnet_ends_well_and_prints_its_report(outcome: dict[str, Any]) -> None:
    assert outcome["code"] == 0, outcome["complaints"]
    assert json.loads(outcome["said"]) == json.loads(outcome["report_file"].read_text())


def test_the_report_has_what_readers_rely_on(outcome: dict[str, Any]) -> None:
    report = json.loads(outcome["report_file"].read_text())
    chain = report["chain"]
    assert chain["state_roots_equal"] is True
    assert chain["validators"] == 4
    assert 0 < chain["height"] <= chain["views"]
    assert 0 < chain["finality_ms"]["p50"] <= chain["finality_ms"]["p99"]
    assert chain["blocks_per_s"] > 0
    assert set(MODEL_FIELDS) <= set(report["model"])
    assert report["seed"] == 3
    assert {"flockchain", "torch", "python"} <= set(report["versions"])


def test_every_round_advances_by_a_certificate_of_a_quorum(outcome: dict[str, Any]) -> None:
    rounds = json.loads(outcome["report_file"].read_text())["rounds"]
    assert [(item["task"], item["round"], item["advanced"]) for item in rounds] == [
        (0, at, True) for at in range(ROUNDS)
    ]
    for item in rounds:
        assert item["advanced"] is True
        assert item["certificate_stake_fraction"] > 2 / 3
        assert item["updates"] == len(item["verdicts"]) == 3
        assert len(bytes.fromhex(item["aggregate_root"])) == 32
        assert all(len(vote["scores"]) == 3 for vote in item["scores"])


def test_the_guides_own_trainer_takes_part_in_every_round(outcome: dict[str, Any]) -> None:
    assert outcome["guest_code"] == 0
    assert [line.split()[0] for line in outcome["guest_said"].splitlines()] == [str(at) for at in range(ROUNDS)]
    rounds = json.loads(outcome["report_file"].read_text())["rounds"]
    assert all("trainer-0" in item["trainers"] for item in rounds)


def test_the_plots_are_drawn(outcome: dict[str, Any]) -> None:
    assert [file.suffix for file in outcome["report_file"].parent.glob("*.png")] != []


def test_no_process_of_the_devnet_is_left(outcome: dict[str, Any]) -> None:
    home = str(outcome["home"]).encode()
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if home in (folder / "cmdline").read_bytes():
                left.append(folder.name)
        except OSError:
            continue
    assert left == []
