"""The operator's guide, as a new operator would follow it: join a running network, validate, and leave again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flockchain.client import Client, Timing
from flockchain.devnet.homes import write_homes
from flockchain.devnet.plan import PORTS_PER_NODE, DevnetPlan, DevnetSettings, build_plan
from flockchain.devnet.processes import Fleet, find_free_ports, wait_until
from flockchain.devnet.watch import Watch
from flockchain.primitives.errors import FlockchainError

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

FLOCKCHAIN = [sys.executable, "-m", "flockchain.cli"]


def call(*arguments: object) -> Any:
    """Run a verb as its own process and read its JSON."""
    environment = {name: value for name, value in os.environ.items() if name != "FLOCKCHAIN_PASSWORD"}
    words = [str(argument) for argument in arguments]
    run = subprocess.run(
        [*FLOCKCHAIN, *words, "--output", "json"], capture_output=True, text=True, timeout=120, env=environment,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"{words}: {run.returncode}\n{run.stderr}"
    return json.loads(run.stdout)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[tuple[DevnetPlan, Fleet]]:
    """Four validators that finalize blocks."""
    settings = DevnetSettings(tmp_path / "devnet", validators=4, trainers=1, rounds=0, attack=None, seed=11)
    plan = build_plan(settings, find_free_ports(PORTS_PER_NODE * 4))
    write_homes(plan, time.time_ns() // 1_000_000)
    fleet = Fleet(plan.logs, {})
    try:
        for node in plan.nodes:
            fleet.start(node.name, [*FLOCKCHAIN, "start", "--home", str(node.home)])
        with Watch(plan.nodes) as watch:
            wait_for(watch.is_finalizing, "the network", fleet)
        yield plan, fleet
    finally:
        fleet.stop_all()


def wait_for(is_done: Callable[[], bool], what: str, fleet: Fleet, timeout_s: int = 90) -> None:
    wait_until(is_done, timeout_ms=timeout_s * 1000, what=what, check=fleet.require_alive, poll_ms=500)


def test_a_fifth_node_joins_validates_and_leaves(network: tuple[DevnetPlan, Fleet], tmp_path: Path) -> None:
    plan, fleet = network
    home, first = tmp_path / "fifth", plan.nodes[0]
    listen, api = (f"127.0.0.1:{port}" for port in find_free_ports(2))
    made = call(
        "init", "--home", home, "--genesis", plan.genesis_file, "--peer", first.peer_address, "--listen", listen,
        "--api", api,
    )  # fmt: skip
    fleet.start("fifth", [*FLOCKCHAIN, "start", "--home", str(home)])
    wait_for(lambda: _has_caught_up(api, first.api_address), "the fifth node's sync", fleet)

    account = made["account"]
    call("tx", "transfer", account, "200000", "--key-file", plan.creator_key_file, "--node", first.api_address)
    call("stake", "bond", "100000", "--home", home)
    wait_for(lambda: bool(call("stake", "show", "node", "--home", home)["this_epoch"]), "membership", fleet)

    own_blocks = set()
    start = call("status", "--home", home)["height"]

    def has_led() -> bool:
        head = call("status", "--home", home)["height"]
        own_blocks.update(height for height in range(start, head + 1) if _get_proposer(api, height) == account)
        return len(own_blocks) > 0

    wait_for(has_led, "a block that the fifth node proposed", fleet)

    call("stake", "leave", "--home", home, "--key", "node")
    wait_for(lambda: not call("stake", "show", "node", "--home", home)["this_epoch"], "the end of membership", fleet)
    before = call("status", "--node", first.api_address)["height"]
    wait_for(lambda: call("status", "--node", first.api_address)["height"] > before + 2, "blocks after it left", fleet)


def _has_caught_up(api: str, other: str) -> bool:
    """Whether the node at `api` has reached the height at which the other was a moment ago."""
    with Client(other) as client:
        target = client.chain.get_status().height
    try:
        with Client(api, timing=Timing(deadline_ms=1_000)) as client:
            status = client.chain.get_status()
    except FlockchainError:
        return False  # it does not answer yet
    return target > 0 and status.height >= target and not status.is_syncing


def _get_proposer(api: str, height: int) -> str:
    with Client(api) as client:
        return client.chain.get_block(height).header.proposer.hex()
