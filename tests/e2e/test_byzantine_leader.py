"""A leader that breaks V2, as a real process among three honest ones: never notarized, and the chain goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flockchain.consensus.guard import GUARD_RECORD, CertificateRecord, VoteRecord
from flockchain.primitives.vote import VoteKind
from flockchain.storage.journal import Journal
from tests.e2e.byzantine_node import FORGED
from tests.e2e.network import Network

pytestmark = pytest.mark.e2e

FORGER = "validator-3"
FORGERIES = 2  # the honest ban it after a few


def test_a_proposer_that_breaks_v2_is_never_notarized_and_the_chain_goes_on(tmp_path: Path) -> None:
    network = Network.plan(tmp_path / "net", 4, idle_block_ms=50)
    honest = [name for name in network.nodes if name != FORGER]
    try:
        for name in honest:
            network.start(name)
        network.start(FORGER, (sys.executable, "-m", "tests.e2e.byzantine_node", str(network.nodes[FORGER].home)))
        network.wait_until(lambda: len(get_forged(network)) >= FORGERIES, f"{FORGER} has led {FORGERIES} times", 60)
        height = network.get_height(honest[0])
        network.wait_for_height(height + 10, *honest)
        assert all("the one that its header commits to" in network.get_log(name) for name in honest)
        chain = network.get_client(honest[0]).chain
        proposers = {chain.get_block(at).header.proposer for at in range(1, height + 10)}
        assert [network.stop(name) for name in network.nodes] == [0, 0, 0, 0]
    finally:
        network.close()
    assert proposers == {network.nodes[name].secrets.account for name in honest}
    forged = get_forged(network)
    for name in honest:
        notarized = get_notarized(network.nodes[name].home)
        assert notarized
        assert not notarized & forged


def get_forged(network: Network) -> set[bytes]:
    """The hashes of the blocks that the forger has proposed."""
    lines = [line for line in network.get_log(FORGER).splitlines() if line.startswith(FORGED)]
    return {bytes.fromhex(line.removeprefix(FORGED)) for line in lines}


def get_notarized(home: Path) -> set[bytes]:
    """Every block that this validator has ever voted for, or seen a quorum vote for."""
    journal = Journal(home / "data" / "votes.journal")
    hashes: set[bytes] = set()
    for encoded in journal.records():
        record = GUARD_RECORD.decode(encoded)
        if isinstance(record, VoteRecord) and record.kind is not VoteKind.NULLIFY:
            hashes.add(record.block_hash)
        elif isinstance(record, CertificateRecord) and record.certificate.kind is not VoteKind.NULLIFY:
            hashes.add(record.certificate.block_hash)
    journal.close()
    return hashes
