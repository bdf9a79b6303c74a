"""Learning in a simulated world: a task, its trainers' updates, and evaluators that answer work orders.

Updates are real fixed-point adapters and aggregates are computed exactly; only the scores are made up:
a fixed function of an update's bytes, so that honest evaluators agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.merkle import compute_root
from flockchain.duties import (
    Aggregate,
    AggregateDone,
    AggregateFailed,
    AggregateOrder,
    BlobFailed,
    BlobFetched,
    DutyResult,
    Evaluate,
    EvaluateDone,
    EvaluateOrder,
    FetchBlob,
    compute_findings,
)
from flockchain.exact import compute_aggregate, compute_update_bytes, encode_update
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, AdapterSpec, ModuleShape, Phase, TaskSpec
from flockchain.primitives.numbers import AccountId, Balance, Hash, MicroNats, Round, TaskId
from flockchain.replica import events
from flockchain.runtime.learning_views import find_round, get_open_tasks, list_tasks
from flockchain.runtime.pallets.tasks import CreateTask
from flockchain.runtime.pallets.updates import SubmitUpdate
from flockchain.storage.blobs import compute_blob_root

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.traffic import Traffic
    from flockchain.sim.world import World

__all__ = ["SimLearning"]

_STEP_MS: Final = 400
_SUITE_ROWS: Final = 24
_ADAPTER: Final = AdapterSpec(
    rank=2,
    alpha=4,
    mode=AdapterMode.FFA,
    a_seed=Hash(bytes(32)),
    modules=(ModuleShape("model.layers.0.self_attn.q_proj", 4, 3, 12, 12),),
)


class SimLearning:
    """The task, its users and the evaluators of every node."""

    def __init__(self, world: World, traffic: Traffic) -> None:
        self._world = world
        self._traffic = traffic
        self._suite = [f'{{"prompt": "{row}", "answer": "{row}"}}'.encode() for row in range(_SUITE_ROWS)]
        self.blobs: dict[Hash, bytes] = {}
        suite_bytes = b"\n".join(self._suite)
        self.suite = self._keep(suite_bytes)
        self._spec = self._build_spec(len(suite_bytes))
        self._submitted: set[tuple[TaskId, Round, bytes]] = set()

    def start(self) -> None:
        self._world.schedule.add(_STEP_MS, self._step)

    def on_work(self, node: SimNode, order: Any) -> None:
        """An evaluator takes its time and answers, unless the node has been restarted meanwhile."""
        answer = self._answer(order)
        life = node.life
        delay_ms = self._world.rng.randint(20, 400)
        self._world.mark(type(order).__name__)
        self._world.schedule.add(delay_ms, lambda: node.deliver(life, events.WorkDone(answer)))

    def _answer(self, order: Any) -> DutyResult:
        if isinstance(order, FetchBlob):
            return BlobFetched(order.root) if order.root in self.blobs else BlobFailed(order.root)
        if isinstance(order, Evaluate):
            return self._evaluate(order.order)
        if isinstance(order, Aggregate):
            return self._aggregate(order.order)
        raise TypeError(f"no such work: {order}")

    def _evaluate(self, order: EvaluateOrder) -> EvaluateDone:
        blobs = [
            self.blobs.get(update.blob) if there else None
            for update, there in zip(order.updates, order.is_available, strict=True)
        ]
        findings = compute_findings(order.spec.adapter, order.updates, blobs)
        scores = tuple(
            None if finding is not None else int.from_bytes(update.digest[:2], "big") - 20_000
            for finding, update in zip(findings, order.updates, strict=True)
        )
        losses = tuple(1_000_000 + row for row in order.rows)
        return EvaluateDone(order.task, order.round, findings, scores, losses)

    def _aggregate(self, order: AggregateOrder) -> AggregateDone | AggregateFailed:
        previous = self.blobs.get(order.previous.root) if order.previous is not None else None
        updates = [self.blobs[update.root] for update in order.updates]
        data = compute_aggregate(order.adapter, previous, updates)
        return AggregateDone(order.task, order.round, self._keep(data), len(data))

    def _step(self) -> None:
        self._world.schedule.add(_STEP_MS, self._step)
        for seed in self._traffic.seeds:
            self._traffic.submit(seed, lambda replica, seed=seed: self._choose_call(replica, seed))  # type: ignore[misc]

    def _choose_call(self, replica: Replica, seed: bytes) -> tuple[int, int, Any] | None:
        """What the user with this seed does now: create the task, or submit to its open round."""
        state = replica.ledger.finalized.state
        if not list_tasks(state):
            return (4, 0, CreateTask(self._spec)) if seed == self._traffic.seeds[0] else None
        for task in get_open_tasks(state):
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
        digest = sha256(seed + task.to_bytes(4, "big") + round_.to_bytes(4, "big"))
        values = np.frombuffer(digest[:16], dtype=np.int8).astype(np.int16).reshape(-1)[:8].reshape(4, 2)
        data = encode_update({f"{_ADAPTER.modules[0].name}.lora_B": values}, _ADAPTER)
        return SubmitUpdate(task, round_, self._keep(data), len(data), sha256(data))

    def _keep(self, data: bytes) -> Hash:
        root = compute_blob_root(data)
        self.blobs[root] = data
        return root

    def _build_spec(self, suite_bytes: int) -> TaskSpec:
        return TaskSpec(
            name="simulated", base_model=sha256(b"base"), adapter=_ADAPTER, suite_root=compute_root(self._suite),
            suite_rows=_SUITE_ROWS, suite_blob=self.suite, suite_bytes=suite_bytes, prompts_per_round=8, audit_rows=2,
            rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(5_000), mass_threshold=MicroNats(80_000),
            reputation_floor=MicroNats(-10_000), committee_size=4, min_updates=2, max_updates=3,
            max_update_bytes=compute_update_bytes(_ADAPTER), submit_blocks=20, commit_blocks=20, reveal_blocks=16,
            aggregate_blocks=16, rounds=4, reward_pool=Balance(10**10), update_bond=Balance(10**9),
        )  # fmt: skip
