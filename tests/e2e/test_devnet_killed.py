"""`kill -9` of `flockchain devnet up` leaves none of its nodes running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flockchain.client import Client, Timing
from flockchain.primitives.errors import FlockchainError
from tests.e2e.network import wait_until
from tests.house.sources import ROOT

pytestmark = pytest.mark.e2e


def test_the_nodes_of_a_devnet_that_is_killed_with_9_stop_by_themselves(tmp_path: Path) -> None:
    home = tmp_path / "net"
    command = [sys.executable, "-m", "flockchain.cli", "devnet", "up", "--rounds", "0", "--home", str(home)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    devnet = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (home / "devnet.json").exists(), "the devnet is planned")
        nodes = [node["api"] for node in json.loads((home / "devnet.json").read_text())["nodes"]]
        wait_until(lambda: all(map(is_answering, nodes)), "every node answers")
    finally:
        devnet.send_signal(signal.SIGKILL)
        devnet.wait()
    wait_until(lambda: not any(map(is_answering, nodes)), "no node answers any more")
    logs = [(home / "logs" / f"validator-{at}.log").read_text() for at in range(len(nodes))]
    assert all("node stops on request" in log for log in logs)


def is_answering(address: str) -> bool:
    try:
        with Client(address, timing=Timing(deadline_ms=1_000, attempts=1)) as client:
            client.chain.get_status()
    except FlockchainError:
        return False
    return True
