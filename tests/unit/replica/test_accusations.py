"""Evidence that waits for a block: proven at the door, kept until it is final, made of contradicting commits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.crypto import ed25519
from flockchain.crypto.hashing import sha256
from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.crypto.voting import sign_vote
from flockchain.gossip.relay import Relay
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence, VoteEvidence
from flockchain.primitives.learning import SCORE_COMMIT, ScoreCommit
from flockchain.primitives.numbers import Epoch, Hash, NodeId, Round, TaskId, View
from flockchain.primitives.vote import VOTE, Vote, VoteKind
from flockchain.replica.accusations import Accusations
from flockchain.replica.outbox import Outbox
from flockchain.runtime.pallets.offences import EvidenceForged, EvidenceInvalid
from flockchain.sim.plan import build_calm_plan
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS

PEER = NodeId(sha256(b"peer"))


@pytest.fixture(scope="module")
def world() -> World:
    """A network whose first round has a committee."""
    world = build_world(1, GENESIS, build_calm_plan(0))
    world.start()
    assert world.advance_until(lambda: "Evaluate" in world.marks, 20_000)
    world.advance(100)  # until everybody is there
    return world


@pytest.fixture
def accusations(world: World) -> Accusations:
    replica = world.nodes[0].replica
    assert replica is not None
    relay = Relay()
    relay.on_peer_connected(PEER)
    return Accusations(replica.ledger, Outbox(relay, b""))


def build_double_vote(world: World, node: SimNode, *, is_forged: bool = False) -> bytes:
    replica = node.replica
    assert replica is not None
    epoch, seat = replica.core.epoch, node.find_seat()
    assert seat is not None
    signer = world.nodes[0].secrets if is_forged else node.secrets
    votes = []
    for block_hash in (sha256(b"one"), sha256(b"two")):
        subject = (VoteKind.NOTARIZE, Epoch(epoch), View(1), Hash(block_hash))
        signature = sign_vote(world.bls, node.genesis_hash, signer.consensus_secret, *subject)
        votes.append(Vote(*subject, seat, signature))
    return EVIDENCE.encode(VoteEvidence(*sorted(votes, key=VOTE.encode)))


def build_commit(node: SimNode, text: bytes, *, is_forged: bool = False) -> ScoreCommit:
    commit = ScoreCommit(TaskId(0), Round(0), node.account, sha256(text), bytes(64))
    seed = sha256(b"another key") if is_forged else node.secrets.score_seed
    return replace(commit, signature=ed25519.sign(seed, compute_score_commit_bytes(node.genesis_hash, commit)))


def count_sent(accusations: Accusations) -> int:
    return len(accusations._outbox.take())


def test_proven_evidence_is_kept_and_passed_on_once(world: World, accusations: Accusations) -> None:
    evidence = build_double_vote(world, world.nodes[1])
    accusations.accuse(evidence)
    accusations.accuse(evidence)
    assert accusations.take() == (evidence,)
    assert count_sent(accusations) == 1


def test_forged_evidence_is_neither_kept_nor_passed_on(world: World, accusations: Accusations) -> None:
    with pytest.raises(EvidenceForged):
        accusations.accuse(build_double_vote(world, world.nodes[1], is_forged=True))
    assert (len(accusations), count_sent(accusations)) == (0, 0)


def test_what_is_no_contradiction_is_refused(world: World, accusations: Accusations) -> None:
    pair = EVIDENCE.decode(build_double_vote(world, world.nodes[1]))
    with pytest.raises(EvidenceInvalid):
        accusations.accuse(EVIDENCE.encode(VoteEvidence(pair.second, pair.first)))
    assert len(accusations) == 0


def test_evidence_stays_until_a_final_block_holds_it(world: World, accusations: Accusations) -> None:
    evidence = build_double_vote(world, world.nodes[1])
    accusations.accuse(evidence)
    accusations.on_built(accusations.take(), (evidence,))
    assert accusations.take() == (evidence,)  # that block may never be final
    head = world.nodes[0].replica.ledger.finalized.block  # type: ignore[union-attr]
    accusations.on_finalized(head)
    assert accusations.take() == (evidence,)
    accusations.on_finalized(replace(head, evidence=(evidence,)))
    assert accusations.take() == ()


def test_evidence_that_a_block_had_to_leave_out_is_forgotten(world: World, accusations: Accusations) -> None:
    evidence = build_double_vote(world, world.nodes[1])
    accusations.accuse(evidence)
    accusations.on_built(accusations.take(), ())
    assert accusations.take() == ()


def test_two_commits_of_one_member_in_a_round_become_evidence(world: World, accusations: Accusations) -> None:
    first, second = (build_commit(world.nodes[2], text) for text in (b"one", b"two"))
    accusations.hear([first, first])
    assert len(accusations) == 0
    accusations.hear([second])
    low, high = sorted((first, second), key=SCORE_COMMIT.encode)
    assert accusations.take() == (EVIDENCE.encode(ScoreEvidence(low, high)),)
    assert count_sent(accusations) == 1


def test_a_commit_in_anothers_name_accuses_nobody(world: World, accusations: Accusations) -> None:
    accusations.hear([build_commit(world.nodes[2], b"forged", is_forged=True)])
    accusations.hear([build_commit(world.nodes[2], b"one")])
    accusations.hear([build_commit(world.nodes[2], b"forged too", is_forged=True)])
    assert len(accusations) == 0


def test_a_commit_of_a_round_to_come_is_not_heard(world: World, accusations: Accusations) -> None:
    for text in (b"one", b"two"):
        accusations.hear([replace(build_commit(world.nodes[2], text), round=Round(9))])
    assert len(accusations) == 0
