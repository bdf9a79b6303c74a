"""A whole network in one process and one thread, reproducible from a seed.

The nodes run the production replica; the world is their clock, their network and their fate. It knows the
faults that a profile draws and shows everything that happens to the checkers. A run has two phases: faults,
then everything is healed and must make progress.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flockchain.crypto.bls import BlsBackend, get_default_backend
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.runtime.dev_keys import derive_dev_keys
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.sim.adversaries import ADVERSARIES, Adversary
from flockchain.sim.chain_mirror import ChainMirror
from flockchain.sim.checkers import CHECKERS, Checker, Violation
from flockchain.sim.evaluators import SimEvaluators
from flockchain.sim.network import SimNetwork
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles import find_profile
from flockchain.sim.schedule import Schedule
from flockchain.sim.signatures import SimulatedBls
from flockchain.sim.sim_blobs import SimBlobs
from flockchain.sim.sim_genesis import build_sim_genesis, get_validator_name
from flockchain.sim.sim_node import SimNode
from flockchain.sim.traffic import Traffic
from flockchain.sim.trainers import Trainers

__all__ = ["CRYPTOS", "World", "WorldReport", "build_world", "run_world"]

CRYPTOS: Final = ("fast", "real")

_PROGRESS_BLOCKS: Final = 6
_STEP_MS: Final = 250

CrashTest = Callable[[out.ReplicaEffect], bool]


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What one seed gave."""

    seed: int
    violations: tuple[str, ...]
    trace_hash: str
    finalized_heights: tuple[int, ...]
    marks: dict[str, int]
    refusals: tuple[str, ...]  # why honest nodes did not notarize blocks, each reason once


class World:
    """The network of one seed. `run` takes it from boot to verdict; tests may go step by step."""

    def __init__(self, seed: int, genesis: GenesisConfig, plan: FaultPlan, bls: BlsBackend, rng: random.Random) -> None:
        self.seed = seed
        self.genesis = genesis
        self.plan = plan
        self.bls = bls
        self.rng = rng
        self.schedule = Schedule(genesis.timestamp_ms + 1_000)
        self.network = SimNetwork(rng, plan.network)
        self.nodes: list[SimNode] = []
        self.mirror = ChainMirror(build_runtime(genesis, bls).genesis_changes)
        self.checkers: list[Checker] = [build() for build in CHECKERS]
        self.violations: list[Violation] = []
        self.marks: dict[str, int] = {}
        self.forged: set[Hash] = set()  # blocks that an adversary made to break a rule
        self.blobs = SimBlobs(self)
        self.evaluators = SimEvaluators(self, self.blobs, plan.evaluators)
        self.traffic = Traffic(self)
        self.trainers = Trainers(self, self.traffic, self.blobs, plan.trainers)
        self._by_id: dict[NodeId, SimNode] = {}
        self._digest = sha256()
        self._effects_to_crash: dict[NodeId, int] = {}
        self._crash_tests: dict[NodeId, CrashTest] = {}

    # What nodes and their surroundings see

    @property
    def now_ms(self) -> int:
        return self.schedule.now_ms

    @property
    def honest(self) -> list[SimNode]:
        """The nodes without an adversary."""
        return [node for node in self.nodes if node.adversary is None]

    @property
    def trace_hash(self) -> str:
        """A hash over every effect of every node, in order."""
        return self._digest.hexdigest()

    def get_neighbours(self, node: SimNode) -> list[SimNode]:
        """The nodes that `node` is connected to when both are up."""
        links = self.plan.links
        if links is None:
            return [each for each in self.nodes if each is not node]
        own = self.nodes.index(node)
        return [each for at, each in enumerate(self.nodes) if (own, at) in links or (at, own) in links]

    def add_node(self, node: SimNode) -> None:
        """Part of building a world."""
        self.nodes.append(node)
        self._by_id[node.node_id] = node

    def trace(self, node: SimNode, effect: out.ReplicaEffect) -> None:
        """Note one effect and show it to the checkers; two runs of a seed agree on all of them."""
        self._digest.update(f"{self.now_ms}:{node.node_id[:4].hex()}:{type(effect).__name__}".encode())
        if isinstance(effect, out.SendMessage):
            self._digest.update(effect.payload)
        for checker in self.checkers:
            if found := checker.on_effect(node, effect):
                self._blame(found)

    def send(self, source: SimNode, target: NodeId, payload: bytes) -> None:
        """Put a message on the wire."""
        receiver = self._by_id[target]
        for delay_ms in self.network.plan(source.node_id, target):
            event = events.MessageReceived(source.node_id, payload)
            life = receiver.life
            self.schedule.add(delay_ms, lambda life=life, event=event: receiver.deliver(life, event))  # type: ignore[misc]

    def on_committed(self, node: SimNode, effect: out.CommitBlocks) -> None:
        """Final blocks go past every checker: for each node, and once as the chain grows."""
        for executed in effect.executed if node.adversary is None else ():
            if self.mirror.apply(executed):
                for checker in self.checkers:
                    self._blame(checker.on_block(node, executed, self.mirror.state))
        for checker in self.checkers:
            self._blame(checker.on_committed(node, effect))

    def on_noted(self, node: SimNode, effect: out.Penalise | out.ViewEntered) -> None:
        """Notes of a node, for the marks."""
        self.mark(type(effect).__name__)

    def on_work(self, node: SimNode, order: Any) -> None:
        """A work order of a node's duties."""
        self.evaluators.on_work(node, order)

    def on_broken(self, node: SimNode, error: Exception) -> None:
        """The node's own code raised: no input may bring that about. The node is down until the world is healed."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).stem}.{frame.name}"
        seen = f"node {node.node_id[:4].hex()} broke in {place}: {type(error).__name__}: {error}"
        self._blame([Violation("standing", seen)])
        node.crash()

    def mark(self, name: str) -> None:
        """Count that something happened at least once."""
        self.marks[name] = self.marks.get(name, 0) + 1

    # Fate

    def plan_crash(self, node: SimNode, after_effects: int) -> None:
        """Crash `node` between two effects."""
        self._effects_to_crash[node.node_id] = after_effects

    def plan_crash_before(self, node: SimNode, is_it: CrashTest) -> None:
        """Crash `node` right before the first effect of which `is_it` says so."""
        self._crash_tests[node.node_id] = is_it

    def is_crash_due(self, node: SimNode, effect: out.ReplicaEffect) -> bool:
        """Whether the node crashes now, instead of performing `effect`. It restarts by itself, after a while."""
        if not self._is_crash_planned(node, effect):
            return False
        self.mark("crash")
        self.schedule.add(self.plan.restart_ms, lambda: self._restart(node))
        return True

    def _is_crash_planned(self, node: SimNode, effect: out.ReplicaEffect) -> bool:
        is_it = self._crash_tests.get(node.node_id)
        if is_it is not None and is_it(effect):
            del self._crash_tests[node.node_id]
            return True
        left = self._effects_to_crash.get(node.node_id)
        if left is None:
            return False
        if left:
            self._effects_to_crash[node.node_id] = left - 1
            return False
        del self._effects_to_crash[node.node_id]
        return True

    def _restart(self, node: SimNode) -> None:
        if not node.is_up:
            node.boot()

    def _blame(self, violations: Iterable[Violation]) -> None:
        self.violations.extend(violation for violation in violations if violation not in self.violations)

    # The run

    def start(self) -> None:
        """Boot everybody, and let users and faults loose."""
        for node in self.nodes:
            node.boot()
        self.traffic.start()
        self.trainers.start()
        self.evaluators.unleash()
        self.plan.unleash(self)

    def advance(self, ms: int) -> None:
        """Let time pass."""
        self.schedule.run_until(self.now_ms + ms)

    def advance_until(self, is_reached: Callable[[], bool], most_ms: int) -> bool:
        """Let time pass until something holds; False if it does not in `most_ms`."""
        deadline_ms = self.now_ms + most_ms
        while not is_reached():
            if self.now_ms >= deadline_ms:
                return False
            self.advance(_STEP_MS)
        return True

    def run(self) -> WorldReport:
        """Boot, faults, healing, verdict."""
        self.start()
        self.advance(self.plan.faults_ms)
        return self.finish()

    def finish(self) -> WorldReport:
        """Heal everything: all honest nodes must go on beyond the highest head of before, in time. Then the verdict."""
        self.network.heal()
        self._effects_to_crash.clear()
        self._crash_tests.clear()
        for node in self.nodes:
            self._restart(node)
        target = max(node.get_height() for node in self.nodes) + _PROGRESS_BLOCKS
        self.advance_until(lambda: all(node.get_height() >= target for node in self.honest), self.plan.healed_ms)
        for node in self.honest:
            if node.get_height() < target:
                seen = f"node {node.node_id[:4].hex()} stands at {node.get_height()} of {target}"
                self._blame([Violation("progress", seen)])
        for checker in self.checkers:
            self._blame(checker.on_end(self.nodes))
        return WorldReport(
            seed=self.seed,
            violations=tuple(str(violation) for violation in self.violations),
            trace_hash=self.trace_hash,
            finalized_heights=tuple(node.get_height() for node in self.nodes),
            marks=dict(sorted(self.marks.items())),
            refusals=tuple(sorted({item.reason for node in self.honest for item in node.refused})),
        )


def build_world(
    seed: int, template: Path, profile: str | FaultPlan = "swarm", crypto: str = "fast", nodes: int = 4
) -> World:
    """The world of a seed, before its first moment, on a chain like `template`'s.

    `profile` may be a plan of one's own. `crypto` is "fast" (see `signatures`) or "real".
    """
    if crypto not in CRYPTOS:
        raise InvalidInput("signatures are fast or real", got=crypto)
    rng = random.Random(seed)
    plan = find_profile(profile).draw(rng, nodes) if isinstance(profile, str) else profile
    bls: BlsBackend = get_default_backend() if crypto == "real" else SimulatedBls()
    genesis = build_sim_genesis(template, bls, plan.stakes_percent or (100,) * nodes, seed)
    world = World(seed, genesis, plan, bls, rng)
    for index in range(nodes):
        adversary: Adversary | None = ADVERSARIES[plan.adversary]() if index == plan.byzantine else None
        world.add_node(SimNode(world, derive_dev_keys(get_validator_name(index)), adversary))
    return world


def run_world(
    seed: int, template: Path, profile: str | FaultPlan = "swarm", crypto: str = "fast", nodes: int = 4
) -> WorldReport:
    """Run one seed to its end."""
    return build_world(seed, template, profile, crypto, nodes).run()
