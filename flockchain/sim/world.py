"""A whole network in one process and one thread, reproducible from a seed.

The nodes run the production replica; the world is their clock, their network and their fate. It knows the
faults that a profile draws and shows everything that happens to the checkers. A run has two phases: faults,
then a core of the nodes is healed and must make progress.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from flockchain.crypto.bls import BlsBackend, get_default_backend
from flockchain.primitives.errors import Fault, InvalidInput
from flockchain.primitives.numbers import Hash, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.runtime.dev_keys import derive_dev_keys
from flockchain.runtime.flock import build_runtime
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.sim.adversaries import ADVERSARIES, Adversary
from flockchain.sim.audience import Audience
from flockchain.sim.chain_mirror import ChainMirror
from flockchain.sim.checkers import Violation
from flockchain.sim.crash_watch import CrashTest, CrashWatch
from flockchain.sim.evaluators import SimEvaluators
from flockchain.sim.healing import Healing
from flockchain.sim.network import SimNetwork
from flockchain.sim.plan import FaultPlan
from flockchain.sim.profiles import choose_profile, find_profile
from flockchain.sim.recording import Recording
from flockchain.sim.report import WorldReport
from flockchain.sim.schedule import Schedule
from flockchain.sim.signatures import SimulatedBls
from flockchain.sim.sim_blobs import SimBlobs
from flockchain.sim.sim_genesis import build_sim_genesis, get_validator_name
from flockchain.sim.sim_node import SimNode
from flockchain.sim.stakers import Stakers
from flockchain.sim.trace import Tracer
from flockchain.sim.traffic import Traffic
from flockchain.sim.trainers import Trainers
from flockchain.sim.twins import Twin, derive_twin
from flockchain.sim.wan.verdict import Pace

__all__ = ["CRYPTOS", "World", "WorldReport", "assemble_world", "build_world", "run_world"]

CRYPTOS: Final = ("fast", "real")

_NODES: Final = 4
_STEP_MS: Final = 250


class World:
    """The network of one seed. `run` takes it from boot to verdict; tests may go step by step."""

    def __init__(self, seed: int, genesis: GenesisConfig, plan: FaultPlan, bls: BlsBackend, rng: random.Random) -> None:
        self.seed = seed
        self.profile = ""
        self.genesis = genesis
        self.plan = plan
        self.bls = bls
        self.rng = rng
        self.schedule = Schedule(genesis.timestamp_ms + 1_000)
        self.network = SimNetwork(rng, plan.network)
        self.nodes: list[SimNode] = []
        self.mirror = ChainMirror(build_runtime(genesis, bls).genesis_changes)
        self.audience = Audience()
        self.checkers = self.audience.checkers
        self.violations = self.audience.violations
        self.marks = self.audience.marks
        self.pace: Pace | None = None  # of a world with distances
        self.recording = Recording()
        self.is_healed = False
        self.forged: set[Hash] = set()  # blocks that an adversary made to break a rule: valid nowhere
        self.blobs = SimBlobs(self)
        self.evaluators = SimEvaluators(self, self.blobs, plan.evaluators)
        self.traffic = Traffic(self)
        self.trainers = Trainers(self, self.traffic, self.blobs, plan.trainers, plan.tasks)
        self.stakers = Stakers(self, plan.stakers)
        self._by_id: dict[NodeId, SimNode] = {}
        self._digest = sha256()
        self._crashes = CrashWatch()

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
        if self.plan.regions is not None:
            self.network.regions.place(node.node_id, self.plan.regions[len(self.nodes)])
        self.nodes.append(node)
        self._by_id[node.node_id] = node

    def trace(self, node: SimNode, effect: out.ReplicaEffect) -> None:
        """Note one effect and show it to the checkers; two runs of a seed agree on all of them."""
        self._digest.update(f"{self.now_ms}:{node.node_id[:4].hex()}:{type(effect).__name__}".encode())
        if isinstance(effect, out.SendMessage):
            self._digest.update(effect.payload)
        self.audience.show_effect(node, effect)

    def send(self, source: SimNode, target: NodeId, payload: bytes) -> None:
        """Put a message on the wire."""
        receiver = self._by_id[target]
        self.recording.hear(payload)
        if self.network.is_clogged(source.node_id, target, self.now_ms):
            self.mark("clog")
        for delay_ms in self.network.plan(source.node_id, target, self.now_ms):
            event = events.MessageReceived(source.node_id, payload)
            life = receiver.life
            self.schedule.add(delay_ms, lambda life=life, event=event: receiver.deliver(life, event))  # type: ignore[misc]

    def on_boot(self, node: SimNode) -> None:
        """A life of a node begins."""
        self.audience.show_boot(node)

    def on_committed(self, node: SimNode, effect: out.CommitBlocks) -> None:
        """Final blocks go past every checker: for each node, and once as the chain grows."""
        for executed in effect.executed if node.adversary is None else ():
            if self.mirror.apply(executed):
                self.audience.show_block(node, executed, self.mirror.state)
        self.audience.show_commit(node, effect)

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
        self.audience.blame([Violation("standing", seen)])
        node.crash()

    def on_stopped(self, node: SimNode, fault: Fault) -> None:
        """The node's disk failed it: it stops and says why. Its operator does what that says, and starts it again."""
        self.mark(f"stopped by {type(fault).__name__}")
        node.folder.stopped_by = fault
        if node.is_up:
            node.crash()
        self.schedule.add(self.plan.restart_ms, lambda: self._restart(node))

    def mark(self, name: str) -> None:
        """Count that something happened at least once."""
        self.audience.mark(name)

    # Fate

    def schedule_fault(self, after_ms: int, fault: Callable[[], None]) -> None:
        """Something goes wrong, or is undone, in `after_ms`; not any more once the world is healed."""
        self.schedule.add(after_ms, lambda: None if self.is_healed else fault())

    def plan_crash(self, node: SimNode, after_effects: int) -> None:
        """Crash `node` between two effects."""
        self._crashes.plan(node.node_id, after_effects)

    def plan_crash_before(self, node: SimNode, is_it: CrashTest) -> None:
        """Crash `node` right before the first effect of which `is_it` says so."""
        self._crashes.plan_before(node.node_id, is_it)

    def is_crash_due(self, node: SimNode, effect: out.ReplicaEffect) -> bool:
        """Whether the node crashes now, instead of performing `effect`. It restarts by itself, after a while."""
        if not self._crashes.is_due(node.node_id, effect):
            return False
        self.mark("crash")
        self.schedule.add(self.plan.restart_ms, lambda: self._restart(node))
        return True

    def wipe(self, node: SimNode) -> None:
        """A node that is down loses its disk."""
        node.wipe()
        self.on_forgotten(node)

    def on_forgotten(self, node: SimNode) -> None:
        """What a node had on its disk is gone, or older than it was."""
        self.audience.show_loss(node)

    def _restart(self, node: SimNode) -> None:
        if not node.is_up:
            node.boot()

    # The run

    def start(self) -> None:
        """Boot everybody, and let users and faults loose."""
        self.plan.unleash(self)
        for node in self.nodes:
            node.boot()
        self.traffic.start()
        self.trainers.start()
        self.stakers.start()
        self.evaluators.unleash()

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
        """Heal a core of the nodes, which must then make progress; and the verdict."""
        self._crashes.clear()
        healing = Healing(self)
        self.audience.blame(healing.run())
        self.audience.show_end(self.nodes)
        return WorldReport(
            seed=self.seed,
            violations=tuple(str(violation) for violation in self.violations),
            trace_hash=self.trace_hash,
            finalized_heights=tuple(node.get_height() for node in self.nodes),
            marks=dict(sorted(self.marks.items())),
            refusals=tuple(sorted({item.reason for node in self.honest for item in node.refused})),
            profile=self.profile,
            core=tuple(index for index, node in enumerate(self.nodes) if node in healing.core),
        )


def assemble_world(seed: int, genesis: GenesisConfig, plan: FaultPlan, bls: BlsBackend, rng: random.Random) -> World:
    """A world with its nodes: the genesis' validators, the plan's guests, and the twin."""
    world = World(seed, genesis, plan, bls, rng)
    twin = Twin()
    for index in range(len(genesis.validators) + plan.guests):
        adversary: Adversary | None = ADVERSARIES[plan.adversary]() if index == plan.byzantine else None
        secrets = derive_dev_keys(get_validator_name(index))
        world.add_node(SimNode(world, secrets, twin if index == plan.twin else adversary))
    if plan.twin is not None:
        secrets = derive_twin(world.nodes[plan.twin].secrets, "twin")
        world.add_node(SimNode(world, secrets, twin))
    if plan.regions is not None:
        world.pace = Pace(world)
    return world


def build_world(
    seed: int, template: Path, profile: str | FaultPlan = "swarm", crypto: str = "fast", nodes: int | None = None
) -> World:
    """The world of a seed, before its first moment, on a chain like `template`'s.

    `profile` may be a plan of one's own. `crypto` is "fast" (see `signatures`) or "real". `nodes` is the number of
    validators, the profile's own by default.
    """
    if crypto not in CRYPTOS:
        raise InvalidInput("signatures are fast or real", got=crypto)
    rng = random.Random(seed)
    if isinstance(profile, str):
        found = find_profile(choose_profile(profile, seed))
        nodes = nodes or found.nodes
        plan = found.draw(rng, nodes)
    else:
        nodes, plan = nodes or _NODES, profile
    bls: BlsBackend = get_default_backend() if crypto == "real" else SimulatedBls()
    stakes = plan.stakes_percent or (100,) * nodes
    genesis = build_sim_genesis(template, bls, stakes, seed, plan.guests, plan.epoch_blocks)
    return assemble_world(seed, genesis, plan, bls, rng)


def run_world(
    seed: int,
    template: Path,
    profile: str | FaultPlan = "swarm",
    crypto: str = "fast",
    nodes: int | None = None,
    trace: Path | None = None,
) -> WorldReport:
    """Run one seed to its end; its story goes to the file `trace`, if one is named."""
    world = build_world(seed, template, profile, crypto, nodes)
    if isinstance(profile, str):
        world.profile = choose_profile(profile, seed)
    if trace is None:
        return world.run()
    with trace.open("w") as file:
        world.audience.tracer = Tracer(world, file)
        world.checkers.append(world.audience.tracer)
        return world.run()
