"""Four consensus cores in a seeded storm: delay, loss, duplicates, partition, crashes, and one of the four Byzantine.

Each seed is a test of its own: `pytest "tests/scenarios/test_core_swarm.py::<the name that failed>"` replays it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import pytest

from flockchain.consensus import Core, guard
from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.certificates import CertificateBook
from flockchain.consensus.evidence import is_conflict, verify_evidence
from flockchain.consensus.guard import GUARD_RECORD, GuardState, VoteRecord
from flockchain.consensus.resolver import Resolver
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block, Header
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.evidence import VoteEvidence
from flockchain.primitives.numbers import ZERO_HASH, Hash, View
from flockchain.primitives.vote import Certificate, Proposal, Vote, VoteKind
from tests.kit.consensus_playbook import ANCHOR, GENESIS_HASH, Room, get_node_id

SEEDS = 100
MUTANT_SEEDS = 400
STORM_MS = 4_000
HEALED_MS = 120_000  # of simulated time: far more than any correct run takes
BLOCKS_AFTER_HEALING = 3
INVALID_TAG = 666
_INDEX = {get_node_id(index): index for index in range(4)}


Treason = Callable[["Swarm", Any, int], list[Any]]


class ViolationError(AssertionError):
    """A property that must hold did not."""


def require(condition: bool, sentence: str, **values: object) -> None:
    if not condition:
        raise ViolationError(f"{sentence}: {values}")


@dataclass
class Disk:
    """What survives a crash: the journal and the finalized chain."""

    journal: list[bytes]
    chain: list[tuple[Hash, Block]]
    certificate: Certificate | None = None


class Node:
    """One core and its host: executes blocks, keeps a disk, and checks the contract of effects."""

    def __init__(self, swarm: Swarm, index: int) -> None:
        self.swarm = swarm
        self.index = index
        self.disk = Disk([], [])
        self.life = 0
        self.fuse: int | None = None  # effects until the power goes
        self.core: Core | None = None
        self.performers: dict[type, Callable[[Any], None]] = {
            fx.BlamePeer: self.perform_blame_peer,
            fx.ReportEvidence: self.perform_report_evidence,
            fx.EnteredView: lambda effect: None,
            fx.OwnVoteHeard: lambda effect: self.later(0, ev.SigningAllowed(is_allowed=True)),  # heedless
            fx.SendOwnVotes: lambda effect: None,
            fx.Journal: self.perform_journal,
            fx.BroadcastVote: self.perform_broadcast_vote,
            fx.ExposeVote: self.perform_expose_vote,
            fx.BroadcastProposal: self.perform_broadcast_proposal,
            fx.BroadcastCertificate: self.perform_broadcast_certificate,
            fx.SendCertificates: self.perform_send_certificates,
            fx.SendBlock: self.perform_send_block,
            fx.RequestCertificates: self.perform_request_certificates,
            fx.RequestBlock: self.perform_request_block,
            fx.SetTimer: self.perform_set_timer,
            fx.BuildBlock: self.perform_build_block,
            fx.CheckBlock: self.perform_check_block,
            fx.FinalizeBlocks: self.perform_finalize_blocks,
        }

    @property
    def is_byzantine(self) -> bool:
        return self.index == self.swarm.byzantine

    def boot(self) -> None:
        self.life += 1
        self.bodies = dict(self.disk.chain)
        self.executed = {ANCHOR: 40} | {block_hash: block.header.height for block_hash, block in self.disk.chain}
        self.asked: set[Hash] = set()
        self.journaled = {
            (record.kind, record.view, record.block_hash)
            for record in map(GUARD_RECORD.decode, self.disk.journal)
            if isinstance(record, VoteRecord)
        }
        self.core = self.swarm.build_core(self.index, self.disk.journal)
        if self.disk.certificate:
            self.tell(ev.SyncedTo(self.disk.chain[-1][1], self.disk.certificate))
        self.tell(ev.Started())

    def crash(self) -> None:
        self.core, self.fuse = None, None
        self.life += 1
        self.swarm.at(self.swarm.rng.randint(50, 900), self.boot)

    def tell(self, event: ev.Event) -> None:
        if self.core is None:
            return
        for effect in self.core.on_event(event):
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse < 0:
                    self.crash()
                    return
            self.performers[type(effect)](effect)
        if self.swarm.rng.random() < 0.02 and self.disk.certificate and self.core:
            self.disk.journal = [GUARD_RECORD.encode(record) for record in self.core.get_guard_records()]

    def perform_blame_peer(self, effect: fx.BlamePeer) -> None:
        require(_INDEX[effect.peer] == self.swarm.byzantine, "an honest peer was blamed", effect=effect)

    def perform_report_evidence(self, effect: fx.ReportEvidence) -> None:
        if self.swarm.accuses:
            require(effect.evidence.first.signer == self.swarm.byzantine, "an honest validator accused", effect=effect)
            self.swarm.evidence.append(effect.evidence)

    def later(self, delay_ms: int, event: ev.Event) -> None:
        life = self.life
        self.swarm.at(delay_ms, lambda: self.tell(event) if self.life == life else None)

    # --- Effects

    def perform_journal(self, effect: fx.Journal) -> None:
        record = effect.record
        self.disk.journal.append(GUARD_RECORD.encode(record))
        if isinstance(record, VoteRecord):
            self.journaled.add((record.kind, record.view, record.block_hash))

    def perform_broadcast_vote(self, effect: fx.BroadcastVote) -> None:
        vote = effect.vote
        self._require_journaled(vote.kind, vote.view, vote.block_hash)
        self.swarm.note_vote(self.index, vote)
        self.swarm.broadcast(self.index, ev.VoteReceived(vote, get_node_id(self.index)))

    def perform_expose_vote(self, effect: fx.ExposeVote) -> None:
        require(effect.vote.signer != self.index, "a node exposes others", effect=effect)
        self.swarm.broadcast(self.index, ev.VoteReceived(effect.vote, get_node_id(self.index)))

    def perform_broadcast_proposal(self, effect: fx.BroadcastProposal) -> None:
        proposal = effect.proposal
        block_hash = compute_block_hash(proposal.block.header)
        self._require_journaled(VoteKind.NOTARIZE, proposal.view, block_hash)
        self.swarm.note_vote(self.index, self.swarm.room.sign(VoteKind.NOTARIZE, proposal.view, block_hash, self.index))
        self.swarm.broadcast(self.index, ev.ProposalReceived(proposal, get_node_id(self.index)))

    def perform_broadcast_certificate(self, effect: fx.BroadcastCertificate) -> None:
        self.swarm.broadcast(self.index, ev.CertificateReceived(effect.certificate, get_node_id(self.index)))

    def perform_send_certificates(self, effect: fx.SendCertificates) -> None:
        for certificate in effect.certificates:
            self.swarm.send(
                self.index, _INDEX[effect.peer], ev.CertificateReceived(certificate, get_node_id(self.index))
            )

    def perform_send_block(self, effect: fx.SendBlock) -> None:
        self.swarm.send(self.index, _INDEX[effect.peer], ev.BlockReceived(effect.block, get_node_id(self.index)))

    def perform_request_certificates(self, effect: fx.RequestCertificates) -> None:
        for peer in self.swarm.pick_peers(self.index):
            self.swarm.send(self.index, peer, ev.CertificatesRequested(effect.from_view, get_node_id(self.index)))

    def perform_request_block(self, effect: fx.RequestBlock) -> None:
        for peer in self.swarm.pick_peers(self.index):
            self.swarm.send(self.index, peer, ev.BlockRequested(effect.block_hash, get_node_id(self.index)))
            found = dict(self.swarm.nodes[peer].disk.chain).get(effect.block_hash)
            if found:
                self.swarm.send(peer, self.index, ev.BlockReceived(found, get_node_id(peer)))

    def perform_set_timer(self, effect: fx.SetTimer) -> None:
        self.later(effect.after_ms, ev.TimerFired(effect.timer))

    def perform_build_block(self, effect: fx.BuildBlock) -> None:
        require(effect.parent_hash in self.executed, "asked to build upon an unknown block", effect=effect)
        height = self.executed[effect.parent_hash] + 1
        block = self.swarm.room.build_block(effect.view, effect.parent_hash, height, tag=self.life)
        block_hash = compute_block_hash(block.header)
        self.executed[block_hash], self.bodies[block_hash] = height, block
        self.later(1 if self.is_byzantine else self.swarm.rng.randint(1, 10), ev.BlockBuilt(effect.view, block))

    def perform_check_block(self, effect: fx.CheckBlock) -> None:
        header = effect.block.header
        require(effect.block_hash not in self.asked, "a block was handed over twice", view=effect.view)
        require(header.parent in self.executed, "a block was handed over before its parent", view=effect.view)
        self.asked.add(effect.block_hash)
        self.bodies[effect.block_hash] = effect.block
        is_valid = header.timestamp_ms != 1_000 + INVALID_TAG
        if is_valid:
            self.executed[effect.block_hash] = header.height
        delay_ms = self.swarm.rng.choice((1, 5, 10, 300))
        self.later(delay_ms, ev.BlockChecked(effect.view, effect.block_hash, is_valid))

    def perform_finalize_blocks(self, effect: fx.FinalizeBlocks) -> None:
        for block_hash in effect.block_hashes:
            require(block_hash in self.bodies, "finalized before handed over", block=block_hash)
            block = self.bodies[block_hash]
            parent = self.disk.chain[-1][0] if self.disk.chain else ANCHOR
            require(block.header.parent == parent, "finality skipped a block", height=block.header.height)
            self.disk.chain.append((block_hash, block))
            if not self.is_byzantine:
                self.swarm.note_final(block.header.height, block_hash)
        self.disk.certificate = effect.certificate

    def _require_journaled(self, kind: VoteKind, view: View, block_hash: Hash) -> None:
        require((kind, view, block_hash) in self.journaled, "sent before it was journaled", kind=kind, view=view)


class Swarm:
    """The network, the clock, the adversary and the checkers of one seed."""

    def __init__(
        self,
        seed: int,
        core: type[Core] = Core,
        *,
        keeps_journal: bool = True,
        accuses: bool = True,
        treason: Treason | None = None,
    ) -> None:
        self.rng = Random(seed)
        self.seed = seed
        self.core = core
        self.keeps_journal = keeps_journal
        self.accuses = accuses  # whether an honest node that breaks its word is caught red-handed, or by its fruits
        self.byzantine = self.rng.randrange(5)  # 4: nobody
        drawn = self.rng.choice((equivocate, undermine, contradict, withhold, fall_silent, betray))
        self.treason: Treason = treason or drawn
        self.evidence: list[VoteEvidence] = []
        self.room = Room.build(seed=bytes([seed % 256]), last_height=self.rng.choice((6, 10_000)))
        self.loss = self.rng.choice((0.0, 0.05, 0.25))
        self.delay_ms = self.rng.choice((10, 60, 250))
        self.now_ms = 0
        self.queue: list[tuple[int, int, Callable[[], object]]] = []
        self.ticks = 0
        self.final: dict[int, Hash] = {}
        self.votes: dict[tuple[int, int], list[Vote]] = {}
        self.blocks: dict[Hash, Block] = {}
        self.cut: frozenset[int] = frozenset()
        self.nodes = [Node(self, index) for index in range(4)]

    @property
    def honest(self) -> list[Node]:
        return [node for node in self.nodes if not node.is_byzantine]

    @property
    def is_healed(self) -> bool:
        return self.now_ms >= STORM_MS

    def build_core(self, index: int, journal: list[bytes]) -> Core:
        return self.room.build_core(index, journal if self.keeps_journal else [], self.core)

    def run(self) -> None:
        """The storm, then calm; raises `ViolationError` unless the honest agree all along and progress in the end."""
        self._plan()
        for node in self.nodes:
            self.at(self.rng.randint(0, 100), node.boot)
        self._run_until(lambda: self.is_healed)
        goal = max(len(node.disk.chain) for node in self.honest) + BLOCKS_AFTER_HEALING
        self._run_until(lambda: self._has_progressed(goal))
        require(
            self._has_progressed(goal), "no progress after healing", heights=[len(n.disk.chain) for n in self.nodes]
        )

    def _has_progressed(self, goal: int) -> bool:
        last = self.room.context.last_height - self.room.context.anchor_height
        return all(node.core is not None and len(node.disk.chain) >= min(goal, last) for node in self.honest)

    def _plan(self) -> None:
        """When the power goes, and when the network splits."""
        for _ in range(self.rng.choice((0, 2, 5))):
            self.at(self.rng.randint(200, STORM_MS - 1_000), lambda: self._light_fuse(self.rng.choice(self.nodes)))
        if self.rng.random() < 0.3:
            at = self.rng.randint(500, STORM_MS - 1_000)
            for node in self.nodes:
                self.at(at, partial(self._light_fuse, node))
        if self.rng.random() < 0.5:
            start, side = self.rng.randint(0, STORM_MS // 2), frozenset(self.rng.sample(range(4), 2))
            self.at(start, lambda: setattr(self, "cut", side))
            self.at(start + self.rng.randint(200, 1_500), lambda: setattr(self, "cut", frozenset()))

    def _light_fuse(self, node: Node) -> None:
        if node.core is not None and node.fuse is None:
            node.fuse = self.rng.randint(0, 8)

    def _run_until(self, is_over: Callable[[], bool]) -> None:
        while self.queue and not is_over() and self.now_ms < STORM_MS + HEALED_MS:
            self.now_ms, _, act = heapq.heappop(self.queue)
            act()

    def at(self, delay_ms: int, act: Callable[[], object]) -> None:
        self.ticks += 1
        heapq.heappush(self.queue, (self.now_ms + delay_ms, self.ticks, act))

    def pick_peers(self, index: int) -> list[int]:
        return self.rng.sample([peer for peer in range(4) if peer != index], 2)

    def broadcast(self, index: int, message: Any) -> None:
        if isinstance(message, ev.ProposalReceived):
            self.blocks[compute_block_hash(message.proposal.block.header)] = message.proposal.block
        for peer in range(4):
            if peer == index:
                continue
            sent = self.treason(self, message, peer) if index == self.byzantine else [message]
            for each in sent:
                self.send(index, peer, each)

    def send(self, index: int, peer: int, message: Any) -> None:
        if not self.is_healed and ((index in self.cut) != (peer in self.cut) or self.rng.random() < self.loss):
            return
        for _ in range(2 if self.rng.random() < 0.03 else 1):
            delay_ms = self.rng.randint(1, 20 if self.is_healed else self.delay_ms)
            self.at(delay_ms, lambda: self.nodes[peer].tell(message))

    # --- Checkers

    def note_final(self, height: int, block_hash: Hash) -> None:
        require(self.final.setdefault(height, block_hash) == block_hash, "two final blocks at a height", height=height)

    def note_vote(self, index: int, vote: Vote) -> None:
        """An honest node's votes never contradict one another, over all its lives."""
        if index == self.byzantine or not self.accuses:
            return
        cast = self.votes.setdefault((index, vote.view), [])
        require(not any(is_conflict(earlier, vote) for earlier in cast), "an honest node contradicts itself", vote=vote)
        cast.append(vote)


# --- Treason: what the Byzantine member sends in place of each honest message, peer by peer


def is_proposal(message: Any) -> bool:
    return isinstance(message, ev.ProposalReceived)


def forge(swarm: Swarm, proposal: Proposal, header: Header) -> ev.ProposalReceived:
    """The proposal with another header, signed by the Byzantine leader."""
    block_hash = compute_block_hash(header)
    swarm.blocks[block_hash] = block = replace(proposal.block, header=header)
    vote = swarm.room.sign(VoteKind.NOTARIZE, proposal.view, block_hash, swarm.byzantine)
    forged = replace(proposal, block=block, signature=vote.signature)
    return ev.ProposalReceived(forged, get_node_id(swarm.byzantine))


def equivocate(swarm: Swarm, message: Any, peer: int) -> list[Any]:
    """Two blocks when it leads, in one order for this peer and in another for that, and an invalid one at times."""
    if not is_proposal(message):
        return [message]
    tags = swarm.rng.choice(((0, 1), (1, 0), (peer % 2,), (INVALID_TAG,)))
    header = message.proposal.block.header
    return [forge(swarm, message.proposal, replace(header, timestamp_ms=1_000 + tag)) for tag in tags]


def undermine(swarm: Swarm, message: Any, peer: int) -> list[Any]:
    """When it leads, it puts its block in the place of its parent, as if the parent's view were nullified."""
    parent = swarm.blocks.get(message.proposal.block.header.parent) if is_proposal(message) else None
    if parent is None or message.proposal.block.header.view != message.proposal.view:
        return [message]
    below = swarm.blocks.get(parent.header.parent)
    header = replace(message.proposal.block.header, parent=parent.header.parent, height=parent.header.height)
    parent_view = below.header.view if below else View(0)
    return [forge(swarm, replace(message.proposal, parent_view=parent_view), header)]


def contradict(swarm: Swarm, message: Any, peer: int) -> list[Any]:
    """Every vote comes with all the votes that it excludes, for every block ever seen in the view."""
    if not isinstance(message, ev.VoteReceived | ev.ProposalReceived):
        return [message]
    view = message.vote.view if isinstance(message, ev.VoteReceived) else message.proposal.view
    hashes = [block_hash for block_hash, block in swarm.blocks.items() if block.header.view == view]
    subjects = [(VoteKind.NULLIFY, ZERO_HASH)]
    subjects += [(kind, each) for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE) for each in hashes]
    swarm.rng.shuffle(subjects)
    votes = [swarm.room.sign(kind, view, each, swarm.byzantine) for kind, each in subjects]
    return [message, *(ev.VoteReceived(vote, get_node_id(swarm.byzantine)) for vote in votes)]


def withhold(swarm: Swarm, message: Any, peer: int) -> list[Any]:
    """What it has to say, only one peer in each view hears."""
    return [message] if peer == (swarm.seed + swarm.now_ms // 500) % 4 else []


def fall_silent(swarm: Swarm, message: Any, peer: int) -> list[Any]:
    return []


def betray(swarm: Swarm, message: Any, peer: int) -> list[Any]:
    """All of it, to some peers and not to others."""
    treacheries = (equivocate, undermine, contradict, withhold)
    return [each for part in swarm.rng.sample(treacheries, 2) for each in part(swarm, message, peer)]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_honest_nodes_agree_in_the_storm_and_progress_after_it(seed: int) -> None:
    Swarm(seed).run()


def test_a_member_that_contradicts_itself_is_convicted_in_most_storms() -> None:
    convicted = tried = 0
    for seed in range(20):
        swarm = Swarm(seed, treason=contradict)
        swarm.run()
        tried += swarm.byzantine < 4
        convicted += bool(swarm.evidence)
        assert all(
            verify_evidence(swarm.room.config.bls, GENESIS_HASH, swarm.room.context.validators, evidence)
            for evidence in swarm.evidence
        )
    assert 2 * convicted > tried > 0


def test_the_same_seed_gives_the_same_run_twice() -> None:
    runs = [Swarm(9), Swarm(9)]
    for swarm in runs:
        swarm.run()
    first, second = ((swarm.final, swarm.now_ms, swarm.ticks) for swarm in runs)
    assert first == second


# --- Mutants: a core with one rule broken must be caught, or the checkers above check nothing


class DoubleVoter(Core):
    """Notarizes every block that the leader proposes in a view, not only the first."""

    def _on_proposal(self, event: ev.ProposalReceived) -> None:
        state = self._views.get(event.proposal.view)
        if state.proposal and state.proposal_hash != compute_block_hash(event.proposal.block.header):
            state.proposal, state.proposal_hash, state.is_vetted = None, None, False
            self._guard._votes.pop((state.view, VoteKind.NOTARIZE), None)
        super()._on_proposal(event)


def finalize_after_nullify(monkeypatch: pytest.MonkeyPatch) -> None:
    excluded = guard._EXCLUDED_BY | {VoteKind.FINALIZE: (VoteKind.FINALIZE,), VoteKind.NULLIFY: (VoteKind.NULLIFY,)}
    monkeypatch.setattr(guard, "_EXCLUDED_BY", excluded)


def build_over_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CertificateBook, "find_gap", lambda *_: None)


def never_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resolver, "want_block", lambda *_: ())
    monkeypatch.setattr(Resolver, "want_certificates", lambda *_: ())


def never_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Core, "_say_again", lambda _: None)


def keep_only_votes(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = GuardState._restore

    def forget(self: GuardState, record: Any) -> None:
        if isinstance(record, VoteRecord):
            restore(self, replace(record, block=None, certificate=None))

    monkeypatch.setattr(GuardState, "_restore", forget)


def count_seeds_until_caught(core: type[Core] = Core, **options: Any) -> int | None:
    """By its fruits: contradictory certificates, two final blocks at a height, or no progress."""
    for seed in range(MUTANT_SEEDS):
        try:
            Swarm(seed, core, accuses=False, **options).run()
        except (ViolationError, FlockchainError):
            return seed + 1
    return None


@pytest.mark.parametrize(
    ("mutate", "treason"),
    [
        (finalize_after_nullify, None),
        (build_over_gaps, "undermine"),
        (never_ask, None),
        (never_repeat, None),
        (keep_only_votes, None),
    ],
)
def test_a_core_with_a_broken_rule_is_caught(
    mutate: Callable[[pytest.MonkeyPatch], None], treason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert count_seeds_until_caught(treason=globals()[treason] if treason else None) is not None


def test_a_core_that_votes_twice_is_caught() -> None:
    assert count_seeds_until_caught(DoubleVoter, treason=equivocate) is not None


def test_a_core_whose_votes_are_lost_at_restart_is_caught() -> None:
    assert count_seeds_until_caught(keeps_journal=False) is not None
