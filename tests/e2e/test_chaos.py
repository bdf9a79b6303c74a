"""Four real validators under real faults, in small: lost packets, a partition, `kill -9` under load."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.house.sources import ROOT
from tools.chaos.fabric import can_make_namespaces
from tools.chaos.run import Trials, is_clean, run_trials

pytestmark = pytest.mark.e2e


def test_a_lossy_and_a_healed_network_go_on_and_ten_kills_lose_nothing_and_sign_nothing_twice(tmp_path: Path) -> None:
    trials = Trials(kills=10, healthy_s=2.0, loss_s=12.0, partitions_s=(9.0,), seed=2, rest_s=1.0)
    figures = run_trials(trials, tmp_path, print)
    assert figures["loss"]["lossy"]["blocks_per_minute"] > 0
    assert figures["partitions"][0]["blocks_during"] == 0
    assert figures["kills"]["kills"] == 10
    assert figures["verdict"]["extrinsics_reported_final"] > 0
    assert figures["verdict"]["votes_seen"] > 0
    assert is_clean(figures), figures["verdict"]


def test_where_namespaces_are_missing_the_same_is_done_behind_proxies(tmp_path: Path) -> None:
    trials = Trials(
        kills=1, healthy_s=1.0, loss_s=3.0, partitions_s=(6.0,), seed=3, fabric="proxies", rest_s=1.0
    )  # fmt: skip
    figures = run_trials(trials, tmp_path, print)
    assert figures["fabric"] == "proxies"
    assert figures["loss"]["frames"]["lost"] > 0
    assert figures["partitions"][0]["blocks_during"] == 0
    assert is_clean(figures), figures["verdict"]


@pytest.mark.skipif(not can_make_namespaces(), reason="this user may not make network namespaces")
def test_namespaces_go_with_their_owner_even_when_that_is_killed_with_9(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tools.chaos.fabric import NamespaceFabric\n"
        "fabric = NamespaceFabric(Path(sys.argv[1]), ['a', 'b'], 1); print(fabric.enter('a', [])[3], flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    owner = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    name = owner.stdout.readline().strip()
    assert name in _list_namespaces()
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 10
    while name in _list_namespaces() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert name not in _list_namespaces()


def _list_namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
