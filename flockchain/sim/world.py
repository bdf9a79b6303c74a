"""A whole network in one process and one thread, reproducible from a seed.

The nodes run the production replica; the world is their clock, their network and their fate. It knows the
faults that a profile draws and hands every committed block to the checkers. A run has two phases: faults,
then everything is healed and must make progress.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flockchain.crypto.bls import BlsBackend, get_default_backend
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.runtime.dev_keys import derive_dev_keys
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.sim.adversaries import ADVERSARIES, Adversary
from flockchain.sim.checkers import CHECKERS, Checker, Violation
from flockchain.sim.learning import SimLearning
from flockchain.sim.network import SimNetwork
from flockchain.sim.profile import FaultPlan, draw_plan
from flockchain.sim.schedule import Schedule
from flockchain.sim.signatures import SimulatedBls
from flockchain.sim.sim_genesis import build_sim_genesis, get_validator_name
from flockchain.sim.sim_node import SimNode
from flockchain.sim.traffic import Traffic

__all__ = ["World", "WorldReport", "run_world"]

_PROGRESS_BLOCKS: Final = 6
_HEALED_STEP_MS: Final = 250


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What one seed gave."""

    seed: int
    violations: tuple[str, ...]
    trace_hash: str
    finalized_heights: tuple[int, ...]
    marks: dict[str, int]
    refusals: tuple[str, ...]  # why honest nodes did not notarize blocks, each reason once


@dataclass
class World:
    """The network of one seed."""

    seed: int
    genesis: GenesisConfig
    plan: FaultPlan
    bls: BlsBackend
    rng: random.Random
    schedule: Schedule
    network: SimNetwork
    nodes: list[SimNode] = field(default_factory=list)
    checkers: list[Checker] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    forged: set[Hash] = field(default_factory=set)  # blocks that an adversary made to break a rule

    def __post_init__(self) -> None:
        self._digest = sha256()
        self.traffic = Traffic(self)
        self.learning = SimLearning(self, self.traffic)
        self._effects_to_crash: dict[NodeId, int] = {}

    @property
    def now_ms(self) -> int:
        return self.schedule.now_ms

    @property
    def trace_hash(self) -> str:
        """A hash over every effect of every node, in order."""
        return self._digest.hexdigest()

    def trace(self, node: SimNode, effect: out.ReplicaEffect) -> None:
        """Note one effect and show it to the checkers; two runs of a seed agree on all of them."""
        summary = f"{self.now_ms}:{node.node_id[:4].hex()}:{type(effect).__name__}"
        self._digest.update(summary.encode())
        if isinstance(effect, out.SendMessage):
            self._digest.update(effect.payload)
        for checker in self.checkers:
            self.violations.extend(checker.on_effect(node, effect))

    def send(self, source: SimNode, target: NodeId, payload: bytes) -> None:
        """Put a message on the wire."""
        receiver = self.find_node(target)
        for delay_ms in self.network.plan(source.node_id, target):
            event = events.MessageReceived(source.node_id, payload)
            life = receiver.life
            self.schedule.add(delay_ms, lambda life=life, event=event: receiver.deliver(life, event))  # type: ignore[misc]

    def find_node(self, node_id: NodeId) -> SimNode:
        return next(node for node in self.nodes if node.node_id == node_id)

    def on_committed(self, node: SimNode, effect: out.CommitBlocks) -> None:
        """Every finalized block of every node goes past every checker."""
        for checker in self.checkers:
            self.violations.extend(checker.on_committed(node, effect))

    def on_noted(self, node: SimNode, effect: out.Penalise | out.ViewEntered) -> None:
        """Notes of a node, for the marks."""
        self.mark(type(effect).__name__)

    def on_work(self, node: SimNode, order: Any) -> None:
        """A work order of a node's duties."""
        self.learning.on_work(node, order)

    def mark(self, name: str) -> None:
        """Count that something happened at least once."""
        self.marks[name] = self.marks.get(name, 0) + 1

    def plan_crash(self, node: SimNode, after_effects: int) -> None:
        """Crash `node` between two effects."""
        self._effects_to_crash[node.node_id] = after_effects

    def is_crash_due(self, node: SimNode) -> bool:
        left = self._effects_to_crash.get(node.node_id)
        if left is None:
            return False
        if left == 0:
            del self._effects_to_crash[node.node_id]
            self.mark("crash")
            self.schedule.add(self.plan.restart_ms, lambda: self._restart(node))
            return True
        self._effects_to_crash[node.node_id] = left - 1
        return False

    def _restart(self, node: SimNode) -> None:
        if not node.is_up:
            node.boot()

    def run(self) -> WorldReport:
        """Boot, faults, healing, verdict."""
        for node in self.nodes:
            node.boot()
        self.traffic.start()
        self.learning.start()
        self.plan.unleash(self)
        self.schedule.run_until(self.schedule.now_ms + self.plan.faults_ms)
        self._heal()
        self._run_until_progress()
        for checker in self.checkers:
            self.violations.extend(checker.on_end(self.nodes))
        return WorldReport(
            seed=self.seed,
            violations=tuple(str(violation) for violation in self.violations),
            trace_hash=self.trace_hash,
            finalized_heights=tuple(self._get_heights()),
            marks=dict(sorted(self.marks.items())),
            refusals=tuple(sorted({item.reason for node in self.nodes for item in node.refused})),
        )

    def _heal(self) -> None:
        self.network.heal()
        self._effects_to_crash.clear()
        for node in self.nodes:
            if not node.is_up:
                node.boot()

    def _get_heights(self) -> list[int]:
        return [node.get_height() for node in self.nodes]

    def _run_until_progress(self) -> None:
        """Every honest node must finalize `_PROGRESS_BLOCKS` beyond the highest head of before, in time."""
        target = max(self._get_heights()) + _PROGRESS_BLOCKS
        deadline_ms = self.now_ms + self.plan.healed_ms
        honest = [node for node in self.nodes if node.adversary is None]
        while self.now_ms < deadline_ms and any(node.get_height() < target for node in honest):
            self.schedule.run_until(self.now_ms + _HEALED_STEP_MS)
        for node in honest:
            if node.get_height() < target:
                seen = f"node {node.node_id[:4].hex()} stands at {node.get_height()} of {target}"
                self.violations.append(Violation("progress", seen))


def run_world(seed: int, template: Path, profile: str = "swarm", crypto: str = "fast", nodes: int = 4) -> WorldReport:
    """Run one seed to its end on a chain like `template`'s. `crypto` is "fast" (see `signatures`) or "real"."""
    rng = random.Random(seed)
    plan = draw_plan(profile, rng, nodes)
    bls: BlsBackend = get_default_backend() if crypto == "real" else SimulatedBls()
    genesis = build_sim_genesis(template, bls, nodes)
    world = World(
        seed=seed,
        genesis=genesis,
        plan=plan,
        bls=bls,
        rng=rng,
        schedule=Schedule(genesis.timestamp_ms + 1_000),
        network=SimNetwork(rng, plan.network),
    )
    for index in range(nodes):
        adversary: Adversary | None = ADVERSARIES[plan.adversary]() if index == plan.byzantine else None
        world.nodes.append(SimNode(world, derive_dev_keys(get_validator_name(index)), adversary))
    world.checkers = [build() for build in CHECKERS]
    return world.run()
