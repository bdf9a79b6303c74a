"""An adversary of the simulator on the real host: `python -m tests.e2e.byzantine_node HOME ADVERSARY FORGED`.

An ordinary node in the folder HOME, but what its replica wants done passes through the adversary's hands. It writes the
hash of every block that it forges to the file FORGED, one a line, before it sends the block.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.node.app import run_node
from flockchain.node.home import Home, NodeSecrets
from flockchain.primitives.numbers import AccountId, Hash
from flockchain.replica import assembly
from flockchain.replica.effects import ReplicaEffect
from flockchain.replica.events import ReplicaEvent
from flockchain.replica.replica import Replica
from flockchain.sim.adversaries import ADVERSARIES, Adversary

__all__ = ["build_byzantine_replica", "read_forged"]


class ForgedFile:
    """The hashes of forged blocks, where another process reads them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known = read_forged(file)

    def add(self, block_hash: Hash) -> None:
        if block_hash not in self._known:
            self._known.add(block_hash)
            with self._file.open("a") as sink:
                sink.write(f"{block_hash.hex()}\n")


def read_forged(file: Path) -> set[bytes]:
    """The blocks that an adversary has forged so far."""
    lines = file.read_text().split("\n")[:-1] if file.exists() else []  # what follows the last newline is not all there
    return {bytes.fromhex(line) for line in lines}


class OwnWorld:
    """What an adversary asks of the world around its node."""

    def __init__(self, bls: BlsBackend, forged: ForgedFile) -> None:
        self.bls = bls
        self.forged = forged

    def mark(self, name: str) -> None:
        print(name, flush=True)


class OwnNode:
    """What an adversary sees of its node."""

    def __init__(self, replica: Replica, secrets: NodeSecrets, forged: ForgedFile) -> None:
        self.replica = replica
        self.secrets = secrets
        self.account = AccountId(ed25519.get_public_key(secrets.account_seed))
        self.genesis_hash = replica.participant.genesis_hash
        self.world = OwnWorld(replica.participant.bls, forged)


def build_byzantine_replica(adversary: Adversary, secrets: NodeSecrets, forged: ForgedFile) -> type[Replica]:
    """The production replica in the adversary's hands."""

    class ByzantineReplica(Replica):
        def on_event(self, event: ReplicaEvent, now_ms: int) -> list[ReplicaEffect]:
            effects = super().on_event(event, now_ms)
            return adversary.apply(OwnNode(self, secrets, forged), effects)  # type: ignore[arg-type]

    return ByzantineReplica


if __name__ == "__main__":
    home = Home(Path(sys.argv[1]))
    assembly.Replica = build_byzantine_replica(  # type: ignore[attr-defined]
        ADVERSARIES[sys.argv[2]](), home.unlock(home.load_password()), ForgedFile(Path(sys.argv[3]))
    )
    sys.exit(run_node(home.path))
