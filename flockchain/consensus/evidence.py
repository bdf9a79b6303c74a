"""Two votes of which an honest validator signs at most one: recognising them, and proving it to others.

Knows votes and keys. Does not know what an offence costs: that is the offences pallet.
"""

from __future__ import annotations

from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.voting import verify_vote
from flockchain.primitives.evidence import VoteEvidence
from flockchain.primitives.numbers import Hash
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import VOTE, Vote, VoteKind

__all__ = ["build_evidence", "is_conflict", "verify_evidence"]


def is_conflict(first: Vote, second: Vote) -> bool:
    """Whether one honest signer cannot have signed both: two blocks in one view, or NULLIFY and FINALIZE."""
    if (first.epoch, first.view, first.signer) != (second.epoch, second.view, second.signer):
        return False
    if first.kind is second.kind:
        return first.block_hash != second.block_hash
    return {first.kind, second.kind} == {VoteKind.NULLIFY, VoteKind.FINALIZE}


def build_evidence(first: Vote, second: Vote) -> VoteEvidence:
    """The one canonical record of a conflict, whichever vote was seen first."""
    low, high = sorted((first, second), key=VOTE.encode)
    return VoteEvidence(low, high)


def verify_evidence(backend: BlsBackend, genesis_hash: Hash, validators: ValidatorSet, evidence: VoteEvidence) -> bool:
    """Whether it is a conflict, in canonical order, of votes that a member of this epoch's set really signed."""
    first, second = evidence.first, evidence.second
    if not is_conflict(first, second) or build_evidence(first, second) != evidence:
        return False
    return all(verify_vote(backend, genesis_hash, validators, vote) for vote in (first, second))
