"""A network that learns: real nodes, each with a scripted evaluator, one small task, and trainers that take part.

    learning = LearningNetwork.plan(folder)
    learning.start()
    learning.train_until(lambda: learning.get_round(3).phase is Phase.ADVANCED, "round 3 has advanced")

The trainers act only while somebody waits in `train_until`. Everything goes through the SDK. Knows how such a network
is set up and what it holds; what should come of it is the tests' to say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from flockchain.client import Account, Client, Timing
from flockchain.client.errors import NotFound
from flockchain.client.task_file import split_suite
from flockchain.client.updates import RoundClosed
from flockchain.consensus.guard import GUARD_RECORD, CertificateRecord, VoteRecord
from flockchain.crypto.hashing import sha256
from flockchain.crypto.merkle import compute_root
from flockchain.exact import compute_update_bytes, encode_update
from flockchain.primitives.block import Block
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, AdapterSpec, ModuleShape, Phase, TaskSpec
from flockchain.primitives.numbers import Balance, Hash, MicroNats, TaskId
from flockchain.primitives.rounds import RoundRecord
from flockchain.primitives.vote import VoteKind
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.storage.journal import open_journal
from tests.e2e.network import Network

__all__ = ["BOND", "LearningNetwork", "get_notarized", "run_learning_network"]

BOND = Balance(10**9)
_FIRST_TASK = TaskId(0)
_TIMING = Timing(deadline_ms=4_000, attempts=3)
_TRAINERS = ("one", "two")
_SUITE = b"".join(b'{"prompt": "%d", "answer": "%d"}\n' % (row, row) for row in range(24))
_BASE_MODEL = sha256(b"a base model that no evaluator here has to load")
_ADAPTER = AdapterSpec(
    rank=2,
    alpha=4,
    mode=AdapterMode.FFA,
    a_seed=Hash(bytes(32)),
    modules=(ModuleShape("model.layers.0.self_attn.q_proj", 4, 3, 12, 12),),
)


@dataclass
class LearningNetwork:
    """The nodes (`network`), their evaluators, a client of all nodes, the task and its trainers."""

    network: Network
    trainers: tuple[Account, ...]
    evaluator_ms: int
    phase_blocks: int  # most blocks of COMMIT, of REVEAL and of AGGREGATE
    task: TaskId = _FIRST_TASK
    _trained: set[int] = field(default_factory=set)  # rounds that the trainers have handed in updates for

    @classmethod
    def plan(cls, folder: Path, *, evaluator_ms: int, phase_blocks: int) -> LearningNetwork:
        """Four validators of equal stake, whose evaluators take so long. Nothing is started."""
        trainers = tuple(Account(sha256(name.encode())) for name in _TRAINERS)
        network = Network.plan(
            folder, 4, epoch_blocks=2_000, idle_block_ms=50, accounts=[trainer.account for trainer in trainers],
            change=_quicken, has_evaluators=True,
        )  # fmt: skip
        return cls(network, trainers, evaluator_ms, phase_blocks)

    def start(self, **commands: tuple[str, ...]) -> None:
        """Start evaluators and nodes and create the task. `commands` are those of nodes that are not ordinary ones."""
        for name in self.network.nodes:
            self.start_evaluator(name, self.evaluator_ms)
        for name in self.network.nodes:
            self.network.start(name, commands.get(name.replace("-", "_")))
        self.network.wait_for_height(1)
        self.network.wait_until(
            lambda: all("evaluator ready" in self.network.get_log(name) for name in self.network.nodes),
            "every node has its evaluator",
        )
        with self.connect() as client:
            blob = client.blobs.put(_SUITE)
            self.task = client.tasks.create(_build_spec(blob, self.phase_blocks), account=self.network.creator).task

    def start_evaluator(self, node: str, delay_ms: int) -> None:
        """Start the evaluator of a node."""
        words = [self.network.nodes[node].evaluator_address, _BASE_MODEL.hex(), str(delay_ms)]
        self.network.fleet.start(
            get_evaluator_name(node), (sys.executable, "-m", "tests.e2e.scripted_evaluator", *words)
        )

    def kill_evaluator(self, node: str) -> None:
        """SIGKILL."""
        self.network.fleet.kill(get_evaluator_name(node))

    def connect(self) -> Client:
        """A client of all nodes, the first of them first."""
        return Client(*(node.api_address for node in self.network.nodes.values()), timing=_TIMING)

    # What the trainers do

    def train_until(self, is_done: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        """Let the trainers hand in updates to every round that opens, until `is_done`."""
        with self.connect() as client:

            def train_and_look() -> bool:
                self._train(client)
                return is_done()

            self.network.wait_until(train_and_look, what, timeout_s, poll_s=0.01)

    def _train(self, client: Client) -> None:
        record = client.rounds.get(self.task)
        if record.phase is not Phase.SUBMIT or record.round in self._trained:
            return
        self._trained.add(record.round)
        for trainer in self.trainers:
            with suppress(RoundClosed):
                client.updates.submit(self.task, _make_update(trainer, record.round), account=trainer)

    # Questions, to the first node

    def get_round(self, number: int | None = None) -> RoundRecord | None:
        """A round of the task as the first node has it, the current one by default."""
        try:
            return self._first.rounds.get(self.task, number)
        except NotFound:
            return None

    def count_advanced(self) -> int:
        """The rounds in which the model moved."""
        return self._first.tasks.get(self.task).rounds_advanced

    def is_in(self, number: int, phase: Phase) -> bool:
        """Whether a round is in a phase."""
        record = self.get_round(number)
        return record is not None and record.phase is phase

    def get_balances(self) -> tuple[int, ...]:
        """What the trainers can spend."""
        return tuple(self._first.extrinsics.get_account(trainer.account).balance for trainer in self.trainers)

    def get_blocks(self, first: int, last: int) -> list[Block]:
        """Final blocks, both ends included."""
        return [self._first.chain.get_block(height).block for height in range(first, last + 1)]

    @property
    def _first(self) -> Client:
        return self.network.get_client(next(iter(self.network.nodes)))


@contextmanager
def run_learning_network(
    folder: Path, *, evaluator_ms: int, phase_blocks: int, **commands: tuple[str, ...]
) -> Iterator[LearningNetwork]:
    """A started network; no process of it is left, however the block ends."""
    learning = LearningNetwork.plan(folder, evaluator_ms=evaluator_ms, phase_blocks=phase_blocks)
    try:
        learning.start(**commands)
        yield learning
    finally:
        learning.network.close()


def get_evaluator_name(node: str) -> str:
    """Under which name a node's evaluator runs and logs."""
    return f"evaluator-of-{node}"


def get_notarized(home: Path) -> set[bytes]:
    """Every block that this validator has ever voted for, or seen a quorum vote for."""
    journal = open_journal(home / "data" / "votes.journal")
    hashes: set[bytes] = set()
    for encoded in journal.records():
        record = GUARD_RECORD.decode(encoded)
        if isinstance(record, VoteRecord) and record.kind is not VoteKind.NULLIFY:
            hashes.add(record.block_hash)
        elif isinstance(record, CertificateRecord) and record.certificate.kind is not VoteKind.NULLIFY:
            hashes.add(record.certificate.block_hash)
    journal.close()
    return hashes


def _quicken(genesis: GenesisConfig) -> GenesisConfig:
    """A bad leader costs a second, not two."""
    pace = replace(genesis.consensus, leader_timeout_ms=800, view_timeout_ms=1_600, retry_ms=600)
    return replace(genesis, consensus=pace)


def _make_update(trainer: Account, number: int) -> bytes:
    """An update, by the numbers of who trains when."""
    digest = sha256(trainer.account + number.to_bytes(4, "big"))
    values = np.frombuffer(digest[:8], dtype=np.int8).astype(np.int16).reshape(4, 2)
    return encode_update({f"{_ADAPTER.modules[0].name}.lora_B": values}, _ADAPTER)


def _build_spec(suite_blob: Hash, phase_blocks: int) -> TaskSpec:
    rows = split_suite(_SUITE)
    return TaskSpec(
        name="scripted", base_model=_BASE_MODEL, adapter=_ADAPTER, suite_root=compute_root(rows),
        suite_rows=len(rows), suite_blob=suite_blob, suite_bytes=len(_SUITE), prompts_per_round=8, audit_rows=2,
        rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(5_000), mass_threshold=MicroNats(12_000),
        reputation_floor=MicroNats(-10_000), committee_size=4, min_updates=len(_TRAINERS),
        max_updates=len(_TRAINERS), max_update_bytes=compute_update_bytes(_ADAPTER), submit_blocks=400,
        commit_blocks=phase_blocks, reveal_blocks=phase_blocks, aggregate_blocks=phase_blocks, rounds=500,
        reward_pool=Balance(10**12), update_bond=BOND,
    )  # fmt: skip
