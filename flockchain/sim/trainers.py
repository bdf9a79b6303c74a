"""Learning in a simulated world: a task, and the trainers that hand in updates to its rounds.

Updates are real fixed-point adapters. A trainer can keep its bytes back, show them to some nodes only, hand in what
is no adapter, or copy another trainer's update.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.merkle import compute_root
from flockchain.exact import compute_update_bytes, encode_update
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, AdapterSpec, ModuleShape, Phase, TaskSpec
from flockchain.primitives.numbers import AccountId, Balance, Hash, MicroNats, NodeId, Round, TaskId
from flockchain.runtime.learning_views import find_round, get_open_tasks, list_tasks
from flockchain.runtime.pallets.tasks import CreateTask
from flockchain.runtime.pallets.updates import SubmitUpdate
from flockchain.sim.sim_blobs import SimBlobs

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.traffic import Traffic
    from flockchain.sim.world import World

__all__ = ["TrainerFaults", "Trainers"]

_STEP_MS: Final = 400
_PATIENCE_MS: Final = 3_000  # before a task that nobody has seen is created again
_SUITE_ROWS: Final = 24
_ADAPTER: Final = AdapterSpec(
    rank=2,
    alpha=4,
    mode=AdapterMode.FFA,
    a_seed=Hash(bytes(32)),
    modules=(ModuleShape("model.layers.0.self_attn.q_proj", 4, 3, 12, 12),),
)


@dataclass(frozen=True, slots=True)
class TrainerFaults:
    """What trainers do instead of their part. Probabilities in per mille of updates."""

    withheld_permille: int = 0  # served to nobody
    partial_permille: int = 0  # served to one node
    malformed_permille: int = 0
    copied_permille: int = 0


class Trainers:
    """The open tasks, and whoever trains for them: the world's users."""

    def __init__(self, world: World, traffic: Traffic, blobs: SimBlobs, faults: TrainerFaults, tasks: int) -> None:
        self._world = world
        self._traffic = traffic
        self._blobs = blobs
        self._faults = faults
        self._tasks = tasks
        self._create_after_ms = 0
        suite = [f'{{"prompt": "{row}", "answer": "{row}"}}'.encode() for row in range(_SUITE_ROWS)]
        spec = _build_spec(compute_root(suite), blobs.make(b"\n".join(suite)), len(b"\n".join(suite)))
        self.spec = replace(spec, committee_size=world.plan.committee_size)

    def start(self) -> None:
        self._world.schedule.add(_STEP_MS, self._step)

    def _step(self) -> None:
        self._world.schedule.add(_STEP_MS, self._step)
        for seed in self._traffic.seeds:
            self._traffic.submit(seed, lambda replica, seed=seed: self._choose_call(replica, seed))  # type: ignore[misc]

    def _choose_call(self, replica: Replica, seed: bytes) -> tuple[int, int, Any] | None:
        """What the user with this seed does now: create a task if too few are open, or submit to an open round."""
        state = replica.ledger.finalized.state
        open_tasks = get_open_tasks(state)
        may_create = seed == self._traffic.seeds[0] and self._world.now_ms >= self._create_after_ms
        if len(open_tasks) < self._tasks and may_create:
            self._create_after_ms = self._world.now_ms + _PATIENCE_MS
            return 4, 0, CreateTask(self.spec)
        for task in open_tasks:
            owner = next(record for record in list_tasks(state) if record.task == task)
            record = find_round(state, task, owner.round)
            trainer = AccountId(ed25519.get_public_key(seed))
            if record is None or record.phase is not Phase.SUBMIT or record.closed:
                continue
            if any(update.trainer == trainer for update in record.updates):
                continue
            return 5, 0, self._build_update(task, owner.round, seed)
        return None

    def _build_update(self, task: TaskId, round_: Round, seed: bytes) -> SubmitUpdate:
        faults, fate = self._faults, self._world.rng.randrange(1000)
        served: tuple[NodeId, ...] | None = None
        is_malformed = False
        if fate < (bound := faults.withheld_permille):
            served = ()
            self._world.mark("update withheld")
        elif fate < (bound := bound + faults.partial_permille):
            served = (self._world.rng.choice(self._world.nodes).node_id,)
            self._world.mark("update shown to one")
        elif fate < (bound := bound + faults.malformed_permille):
            is_malformed = True
            self._world.mark("update malformed")
        elif fate < bound + faults.copied_permille:
            seed = self._traffic.seeds[0]  # the first trainer's own update of this round
            self._world.mark("update copied")
        data = _train(task, round_, seed)
        if is_malformed:
            data = data[::-1]
        return SubmitUpdate(task, round_, self._blobs.make(data, served), len(data), sha256(data))


def _train(task: TaskId, round_: Round, seed: bytes) -> bytes:
    """An update, by the numbers of who trains when."""
    digest = sha256(seed + task.to_bytes(4, "big") + round_.to_bytes(4, "big"))
    values = np.frombuffer(digest[:8], dtype=np.int8).astype(np.int16).reshape(4, 2)
    return encode_update({f"{_ADAPTER.modules[0].name}.lora_B": values}, _ADAPTER)


def _build_spec(suite_root: Hash, suite_blob: Hash, suite_bytes: int) -> TaskSpec:
    return TaskSpec(
        name="simulated", base_model=sha256(b"base"), adapter=_ADAPTER, suite_root=suite_root,
        suite_rows=_SUITE_ROWS, suite_blob=suite_blob, suite_bytes=suite_bytes, prompts_per_round=8, audit_rows=2,
        rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(5_000), mass_threshold=MicroNats(12_000),
        reputation_floor=MicroNats(-10_000), committee_size=4, min_updates=2, max_updates=3,
        max_update_bytes=compute_update_bytes(_ADAPTER), submit_blocks=20, commit_blocks=20, reveal_blocks=16,
        aggregate_blocks=16, rounds=4, reward_pool=Balance(10**10), update_bond=Balance(10**9),
    )  # fmt: skip
