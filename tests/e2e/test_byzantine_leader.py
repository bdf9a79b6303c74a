"""Leaders that break V1 to V4, as real processes among three honest ones: never notarized, and learning goes on."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.byzantine_node import read_forged
from tests.e2e.learning_network import LearningNetwork, get_notarized, run_learning_network

pytestmark = pytest.mark.e2e

BYZANTINE = "validator-3"
ROUNDS_AFTER = 2  # that must advance once a rule is broken
BLOCKS_AFTER = 10
PHASE_BLOCKS = 14  # a banned member keeps every COMMIT waiting for so long

# What the honest say of a forged block. A body that is not the header's is dropped before it is executed.
REFUSALS = {
    "impostor": "the commit is not signed by its voter",
    "false_revealer": "the reveal does not open its commit",
    "lone_certifier": "the certificate has no quorum",
}
DROPPED = {"root_forger": "a block whose body is not the one that its header commits to"}


@pytest.mark.parametrize("adversary", ["impostor", "root_forger", "false_revealer", "lone_certifier"])
def test_a_leader_that_breaks_a_rule_is_refused_and_rounds_go_on(adversary: str, tmp_path: Path) -> None:
    folder, forged_file = tmp_path / "net", tmp_path / "forged"
    command = (
        sys.executable, "-m", "tests.e2e.byzantine_node", str(folder / BYZANTINE), adversary, str(forged_file)
    )  # fmt: skip
    with run_learning_network(folder, evaluator_ms=150, phase_blocks=PHASE_BLOCKS, validator_3=command) as learning:
        network = learning.network
        honest = [name for name in network.nodes if name != BYZANTINE]
        learning.train_until(
            lambda: len(read_forged(forged_file)) > 0 and all(is_refused(learning, name, adversary) for name in honest),
            f"{BYZANTINE} has forged a block and the honest have refused it",
            90,
        )
        advanced, height = learning.count_advanced(), network.get_height(honest[0])
        learning.train_until(
            lambda: learning.count_advanced() >= advanced + ROUNDS_AFTER, f"{ROUNDS_AFTER} more rounds advance", 120
        )
        network.wait_for_height(height + BLOCKS_AFTER, *honest)
        head = network.get_height(honest[0])
        chain = network.get_client(honest[0]).chain
        finalized = {chain.get_block_hash(at) for at in range(1, head + 1)}
        assert [network.stop(name) for name in network.nodes] == [0, 0, 0, 0]
    forged = read_forged(forged_file)
    assert forged
    assert not finalized & forged
    for name in honest:
        notarized = get_notarized(network.nodes[name].home)
        assert notarized
        assert not notarized & forged


def is_refused(learning: LearningNetwork, name: str, adversary: str) -> bool:
    """Whether an honest node has said of what the adversary proposed what is wrong with it."""
    lines = [json.loads(line) for line in learning.network.get_log(name).splitlines()]
    if adversary in DROPPED:
        node_id = learning.network.nodes[BYZANTINE].secrets.node_id.hex()
        return any(line.get("peer") == node_id and DROPPED[adversary] in line.get("reason", "") for line in lines)
    forged = {block_hash.hex() for block_hash in read_forged(learning.network.folder.parent / "forged")}
    refused = [line for line in lines if line["event"] == "block refused" and line["hash"] in forged]
    return any(REFUSALS[adversary] in line["reason"] for line in refused)
