"""One kind of fault at a time: what it does to a world, and that the chain survives it."""

from __future__ import annotations

import pytest

from flockchain.consensus.guard import GUARD_RECORD, VoteRecord
from flockchain.primitives.vote import VoteKind
from flockchain.replica.admission import Admission
from flockchain.replica.effects import PersistVote, ReplicaEffect
from flockchain.sim.checkers import Checker
from flockchain.sim.checkers.block_events import OFFENCE_REPORTED, SLASHED, iterate_events
from flockchain.sim.faults import ClockJump, Clog, Fault, Junk, Latency, Liar, Outage, Partition, Pause
from flockchain.sim.network import SimNetwork
from flockchain.sim.plan import FaultPlan
from flockchain.sim.sim_node import SimNode
from flockchain.sim.stakers import StakerPlan
from flockchain.sim.traffic import LIFETIME_BLOCKS
from flockchain.sim.twins import Twin
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS, watch

SEED = 11
JUNK = ("replayed", "another chain's", "truncated", "flipped", "garbage", "oversized", "greedy")


def build(*faults: Fault, **fate: object) -> World:
    return build_world(SEED, GENESIS, FaultPlan(8_000, faults=faults, **fate))  # type: ignore[arg-type]


def get_heights(world: World) -> list[int]:
    return [node.get_height() for node in world.nodes]


class Signatures(Checker):
    """Which lives of which nodes persisted a vote."""

    def __init__(self) -> None:
        self.by: set[tuple[SimNode, int]] = set()

    def on_effect(self, node, effect):
        if isinstance(effect, PersistVote):
            self.by.add((node, node.life))
        return ()


def is_vote(effect: ReplicaEffect) -> bool:
    """Whether a node is about to journal a vote."""
    return isinstance(effect, PersistVote) and isinstance(GUARD_RECORD.decode(effect.record), VoteRecord)


# The network


def test_a_clogged_network_stands_still_and_then_delivers_everything() -> None:
    everybody = tuple((source, target) for source in range(4) for target in range(4) if source != target)
    world = build(Clog(1_000, 2_500, everybody))
    world.start()
    world.advance(1_200)
    before = get_heights(world)
    world.advance(2_200)
    assert get_heights(world) == before
    world.advance(2_000)
    assert min(get_heights(world)) > max(before)
    assert world.marks["clog"] > 0
    assert world.finish().violations == ()


def test_a_node_that_is_heard_but_hears_nothing_stands_still_and_the_others_go_on() -> None:
    world = build(Partition(0, 4_000, (1, 0, 0, 0), one_way=True))
    world.start()
    world.advance(3_900)
    deaf, *others = get_heights(world)
    assert deaf == 0
    assert min(others) > 8
    assert world.advance_until(lambda: get_heights(world)[0] > min(others), 8_000)
    assert world.finish().violations == ()


def test_a_flapping_network_comes_and_goes() -> None:
    world = build(Partition(500, 6_000, (0, 0, 1, 1), flaps=6))
    report = world.run()
    assert report.violations == ()
    assert report.marks["partition"] == 6


def test_links_with_latencies_of_their_own_only_slow_the_chain_down() -> None:
    world = build(*(Latency((0, target), 400) for target in (1, 2, 3)))
    assert world.run().violations == ()


# Processes


def test_a_process_that_is_paused_for_longer_than_a_timeout_handles_everything_afterwards() -> None:
    world = build(Pause(1_000, 4_000, 2))
    world.start()
    world.advance(1_100)
    before = world.nodes[2].get_height()
    world.advance(3_800)
    assert world.nodes[2].get_height() == before
    assert world.mirror.height > before
    assert world.advance_until(lambda: world.nodes[2].get_height() == world.mirror.height, 2_000)
    assert world.finish().violations == ()


def test_a_pause_ends_with_the_life_that_was_paused() -> None:
    world = build(Pause(1_000, 60_000, 1))
    world.start()
    world.advance(2_000)
    assert not world.nodes[1].is_running
    world.nodes[1].crash()
    world.nodes[1].boot()
    assert world.nodes[1].is_running
    world.advance(3_000)
    assert world.nodes[1].get_height() > 0
    assert world.finish().violations == ()


def test_a_validator_that_crashes_before_its_first_vote_is_no_stranger_when_it_is_back() -> None:
    """It signed nothing, and nobody heard anything else: it has to vote at once, for without it there is no quorum."""
    world = build(Latency((2, 0), 600), restart_ms=1_500)
    world.start()
    world.plan_crash_before(world.nodes[0], is_vote)
    assert world.advance_until(lambda: not world.nodes[0].is_up, 1_000)
    assert world.advance_until(lambda: world.nodes[0].is_up, 2_000)
    world.advance(500)
    world.nodes[1].switch_off()
    before = world.mirror.height
    assert before > 0
    assert world.advance_until(lambda: world.mirror.height >= before + 12, 30_000)
    assert world.violations == []


@pytest.mark.parametrize("error_ms", [1_500, 10_000, 3_600_000, -1_500, -10_000, -3_600_000])
def test_one_clock_that_is_wrong_stops_nobody_even_when_it_is_set_right(error_ms: int) -> None:
    world = build(ClockJump(500, 0, error_ms), ClockJump(6_000, 0, 0))
    world.start()
    world.advance(6_500)
    assert min(get_heights(world)[1:]) > 5
    assert world.finish().violations == ()


@pytest.mark.parametrize("error_ms", [5_000, 3_600_000, -5_000, -3_600_000])
def test_clocks_that_were_wrong_and_are_right_again_let_the_chain_go_on(error_ms: int) -> None:
    """Two of four: while they are wrong there may be no quorum."""
    world = build(ClockJump(500, 0, error_ms), ClockJump(500, 1, error_ms))
    assert world.run().violations == ()


# Nodes that are far behind


def test_a_node_that_starts_when_the_chain_is_long_catches_up() -> None:
    world = build(Outage(0, 7_000, 4), guests=1)
    world.start()
    world.advance(7_500)
    assert world.mirror.height > 20
    assert world.advance_until(lambda: world.nodes[4].get_height() > 20, 4_000)
    assert world.finish().violations == ()


def test_a_validator_that_lost_its_disk_follows_and_signs_nothing() -> None:
    world = build(Outage(3_000, 2_000, 1, loses_disk=True))
    signatures = Signatures()
    world.checkers.append(signatures)
    report = world.run()
    assert report.violations == ()
    assert report.marks["wiped"] == 1
    wiped = world.nodes[1]
    assert wiped.get_height() > 20
    assert {life for node, life in signatures.by if node is wiped} == {1}
    assert not wiped.vote_journal


# A Byzantine node's links


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_refused_and_stops_nothing(kind: str) -> None:
    faults = tuple(Junk(at_ms, 1, kind, 40) for at_ms in (1_000, 3_000, 5_000))
    report = build(*faults, byzantine=1, adversary="withholder").run()
    assert report.violations == ()
    assert report.marks[f"{kind} frames"] == 3
    assert report.marks[f"{kind} frame refused"] > 0


def test_a_liar_cannot_keep_a_late_node_from_catching_up() -> None:
    world = build(Liar(0, 1), Outage(1_000, 5_000, 2), byzantine=1, adversary="withholder")
    report = world.run()
    assert report.violations == ()
    assert report.marks["lie"] > 0


# One key on two nodes; validators that come and go


def test_only_the_twins_are_slashed_once_for_each_of_their_offences() -> None:
    """Both start at once and lead the first view, before either has heard of the other."""
    world = next(world for seed in range(40) if is_led_by(world := build_twins(seed), 2))
    recorder = watch(world)
    world.advance(8_000)
    report = world.finish()
    assert report.violations == ()
    assert report.marks["twin voted twice"] > 0
    offences = [
        reader.take(32 + 8 + 8 + 1)  # offender, epoch, view, kind
        for executed, _ in recorder.blocks
        for _, reader in iterate_events(executed, OFFENCE_REPORTED)
    ]
    slashed = [reader.take(32) for executed, _ in recorder.blocks for _, reader in iterate_events(executed, SLASHED)]
    twin = world.nodes[2]
    assert isinstance(twin.adversary, Twin)
    assert len(set(offences)) == len(offences) > 0
    assert {offence[:32] for offence in offences} == set(slashed) == {twin.account}


def test_validators_that_join_by_extrinsics_take_part_and_others_go() -> None:
    world = build_world(SEED, GENESIS, FaultPlan(12_000, guests=2, stakers=StakerPlan(300)), nodes=5)
    report = world.run()
    assert report.violations == ()
    assert report.marks["validator joined"] > 0
    assert report.marks["validator gone"] > 0
    assert report.marks["joined validator proposed"] > 0


# Healing


def test_a_core_that_is_not_healed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimNetwork, "heal", lambda *_, **__: None)
    world = build(Partition(0, 60_000, (0, 0, 1, 1)), healed_ms=20_000)
    world.run()
    assert {violation.promise for violation in world.violations} == {"progress"}


def test_a_node_that_takes_an_extrinsic_and_forgets_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the extrinsic's life is over it cannot run any more: nobody waits for it until the time is up."""
    monkeypatch.setattr(Admission, "take_for_block", lambda *_: ())
    world = build(healed_ms=600_000)
    world.start()
    world.advance(8_000)
    before = world.mirror.height
    report = world.finish()
    assert {violation.promise for violation in world.violations} == {"inclusion"}
    assert len(world.violations) == len(report.core)
    assert LIFETIME_BLOCKS <= world.mirror.height - before < LIFETIME_BLOCKS + 16


@pytest.mark.parametrize("flaw", ["is_failing", "is_full"])
@pytest.mark.parametrize("seed", range(4))
def test_a_healed_node_has_a_good_disk_and_does_not_stop_with_what_it_was_asked(seed: int, flaw: str) -> None:
    """The fault came so late that nothing was written between it and the healing."""
    world = build_world(seed, GENESIS, FaultPlan(2_000))
    world.start()
    world.advance(2_000)
    for node in world.nodes:
        setattr(node.folder.disk, flaw, True)
    report = world.finish()
    assert report.violations == ()
    assert not [mark for mark in report.marks if mark.startswith("stopped")]


@pytest.mark.parametrize("seed", range(8))
def test_the_core_goes_on_without_those_that_are_left_behind(seed: int) -> None:
    world = build_world(seed, GENESIS, FaultPlan(2_000, faults=(Partition(500, 1_000, (0, 1, 0, 1, 0, 1)),)), nodes=6)
    report = world.run()
    assert report.violations == ()
    assert 5 <= len(report.core) <= 6
    assert report.height >= 6


def test_a_clock_that_is_set_right_is_believed_at_once_about_blocks_that_seemed_early() -> None:
    """To node 0 the first block is an hour early; before the view is over its clock is set right, and it votes.

    What rests upon a notarized block waits for that block: a node that went on waiting would not vote for an hour.
    """
    world = next(world for seed in range(40) if is_led_by(world := build_pair(seed), 1))
    votes = Votes(world.nodes[0])
    world.checkers.append(votes)
    world.advance(600)
    assert not votes.seen
    world.nodes[0].clock_error_ms = 0
    world.advance(1_100)
    assert [record.kind for record in votes.seen] == [VoteKind.NOTARIZE]


class Votes(Checker):
    """What one node signed."""

    def __init__(self, node: SimNode) -> None:
        self.node = node
        self.seen: list[VoteRecord] = []

    def on_effect(self, node, effect):
        if node is self.node and isinstance(effect, PersistVote):
            record = GUARD_RECORD.decode(effect.record)
            self.seen += [record] if isinstance(record, VoteRecord) else []
        return ()


def build_pair(seed: int) -> World:
    """Nodes 0 and 1 of four are cut off before there is a block; the clock of node 0 is an hour behind."""
    faults = (Partition(90, 60_000, (0, 0, 1, 1)), ClockJump(0, 0, -3_600_000))
    world = build_world(seed, GENESIS, FaultPlan(60_000, faults=faults))
    world.start()
    world.advance(200)
    return world


def build_twins(seed: int) -> World:
    """Two nodes with the key of validator 2 among five."""
    world = build_world(seed, GENESIS, FaultPlan(8_000, twin=2))
    world.start()
    return world


def is_led_by(world: World, node: int) -> bool:
    """Whether a node's validator leads the first view."""
    core = world.nodes[0].replica.core
    return core.validators.validators[core.get_leader(1)].account == world.nodes[node].account
