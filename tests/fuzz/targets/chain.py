"""Extrinsics, evidence and the items of a learning section, judged by the runtime on a real chain in mid-round."""

from __future__ import annotations

from flockchain.crypto.hashing import sha256
from flockchain.crypto.voting import sign_vote
from flockchain.duties.records import AggregateDuty
from flockchain.mempool.learning_pool import LearningPool
from flockchain.primitives.errors import InvalidInput, Refused
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence, VoteEvidence
from flockchain.primitives.learning import (
    AGGREGATE_VOTE,
    LEARNING_ITEM,
    SCORE_COMMIT,
    AggregateVote,
    LearningItem,
    Phase,
)
from flockchain.primitives.numbers import Epoch, Hash, View
from flockchain.primitives.vote import VOTE, Vote, VoteKind
from flockchain.runtime.execution import BlockExecution
from flockchain.runtime.frame import BlockContext
from flockchain.runtime.pallets.balances import Transfer
from flockchain.runtime.pallets.system import Remark
from flockchain.storage.blobs import compute_blob_root
from flockchain.storage.overlay import Overlay
from tests.fuzz.subject import Subject, Target
from tests.kit.learning import LearningChain
from tests.kit.runtime_chain import RuntimeChain, get_account

__all__ = ["TARGETS"]

SCORES = (900, -200, 40)


def build_extrinsic_subject() -> Subject:
    """A signed call at the door of the pool and of every block."""
    chain = RuntimeChain.start()
    samples = (
        chain.sign("account-0", "balances.transfer", Transfer(get_account("faucet"), 7)),
        chain.sign("account-1", "balances.transfer", Transfer(get_account("faucet"), 7)),
        chain.sign("account-0", "system.remark", Remark(b"remarkable" * 20)),
    )

    def accepts(raw: bytes) -> bool:
        return chain.executive.check_extrinsic(raw).raw == raw

    return Subject(samples, bytes, accepts, is_verifier=True)


def build_evidence_subject() -> Subject:
    """Double votes and double commits as peers pass them on and blocks carry them."""
    world = _open_round(Phase.COMMIT)
    chain = world.chain
    samples = tuple(_build_double_vote(chain, kind) for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE))
    samples += (_build_double_commit(world),)
    state, head = chain.store, chain.head

    def accepts(raw: bytes) -> bool:
        chain.executive.require_evidence(state, head, raw)
        return True

    return Subject(samples, bytes, accepts, is_verifier=True)


def build_commit_subject() -> Subject:
    """Score commits while the round collects them."""
    world = _open_round(Phase.COMMIT)
    return _build_item_subject(world, [world.build_commit(member, SCORES) for member in range(4)])


def build_reveal_subject() -> Subject:
    """Score reveals while the round collects them."""
    world = _open_round(Phase.REVEAL)
    return _build_item_subject(world, [world.build_reveal(member, SCORES) for member in range(4)])


def build_aggregate_certificate_subject() -> Subject:
    """The certificate that advances a model."""
    world = _open_round(Phase.AGGREGATE)
    return _build_item_subject(world, [world.build_certificate((0, 1, 2)), world.build_certificate((1, 2, 3))])


def build_aggregate_vote_subject() -> Subject:
    """Two good votes and a mutated one are no certificate: three of four members are needed."""
    world = _open_round(Phase.AGGREGATE)
    record, data = world.round, world.compute_aggregate()
    duty = AggregateDuty(world.task, record.round, record.results_root, compute_blob_root(data), len(data))
    votes = [world.get_signer(member).build_aggregate_vote(duty) for member in record.committee]
    runtime = world.chain.runtime

    def accepts(vote: AggregateVote) -> bool:
        pool = LearningPool()
        for each in (*votes[:2], vote):
            pool.add_vote(each, None)
        certificate = pool.build_certificate(
            runtime.bls, runtime.genesis_hash, world.task, record.round, record.results_root, record.committee
        )
        return certificate is not None

    samples = tuple(AGGREGATE_VOTE.encode(vote) for vote in votes[2:])
    return Subject(
        samples, AGGREGATE_VOTE.decode, accepts, AGGREGATE_VOTE.encode, (InvalidInput, Refused), is_verifier=True
    )


def _build_item_subject(world: LearningChain, items: list[LearningItem]) -> Subject:
    """Each item by itself in the next block, as its leader and everybody who executes it judge it."""
    chain = world.chain
    originals = set(items)

    def accepts(item: LearningItem) -> bool:
        draft = chain.draft()
        context = BlockContext(
            draft.parent_hash, chain.height + 1, draft.epoch, draft.view, draft.timestamp_ms, draft.proposer,
            chain.runtime.genesis_hash, chain.runtime.spec_version, chain.runtime.bls,
        )  # fmt: skip
        overlay = Overlay(chain.store)
        execution = BlockExecution(chain.runtime, overlay, context)
        execution.apply_item(item)
        return True

    assert len(originals) == len(items)
    samples = tuple(LEARNING_ITEM.encode(item) for item in items)
    return Subject(
        samples, LEARNING_ITEM.decode, accepts, LEARNING_ITEM.encode, (InvalidInput, Refused), is_verifier=True
    )


def _open_round(phase: Phase) -> LearningChain:
    """A chain whose first round is in `phase`, with nothing said in it yet."""
    world = LearningChain.start()
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    if phase is not Phase.COMMIT:
        world.commit_all(SCORES)
    if phase is Phase.AGGREGATE:
        world.reveal_all(SCORES)
        world.advance_to(Phase.AGGREGATE)
    return world


def _build_double_vote(chain: RuntimeChain, kind: VoteKind) -> bytes:
    signer = chain.members.validators[1]
    votes = []
    for text in (b"one", b"two"):
        subject = (kind, Epoch(0), View(2), Hash(sha256(text)))
        secret = chain.secrets[signer.account].consensus_secret
        votes.append(Vote(*subject, 1, sign_vote(chain.runtime.bls, chain.runtime.genesis_hash, secret, *subject)))
    return EVIDENCE.encode(VoteEvidence(*sorted(votes, key=VOTE.encode)))


def _build_double_commit(world: LearningChain) -> bytes:
    commits = sorted((world.build_commit(0, SCORES), world.build_commit(0, (1, 2, 3))), key=SCORE_COMMIT.encode)
    return EVIDENCE.encode(ScoreEvidence(*commits))


TARGETS = (
    Target("extrinsic", build_extrinsic_subject),
    Target("evidence", build_evidence_subject),
    Target("score-commit", build_commit_subject),
    Target("score-reveal", build_reveal_subject),
    Target("aggregate-certificate", build_aggregate_certificate_subject),
    Target("aggregate-vote", build_aggregate_vote_subject),
)
