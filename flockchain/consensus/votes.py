"""Votes until they are certificates: tallied by stake, verified lazily, and compared with one another.

Signatures are looked at only when a quorum of stake may be there: the aggregate is verified at once, and
halved until the bad votes stand alone if it fails. Anybody can send a vote in anybody's name, so a vote
that meets another one of the same signer, view and kind is verified by itself before either is believed.
Per view, kind and signer one vote is kept. Knows no blocks and no rules of when to vote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flockchain.consensus.evidence import build_evidence, is_conflict
from flockchain.crypto.bls import BlsBackend
from flockchain.crypto.signing import compute_vote_bytes
from flockchain.crypto.voting import build_certificate, verify_certificate, verify_vote
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.evidence import VoteEvidence
from flockchain.primitives.limits import OWN_VOTES_PER_REPLY_MAX
from flockchain.primitives.numbers import ZERO_HASH, Hash, NodeId, Stake, View, is_quorum
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Certificate, Vote, VoteKind

__all__ = ["SettledCheck", "VoteBook", "VoteOutcome", "VoteVerifier"]


class SettledCheck(Protocol):
    """Whether a certificate of this kind and view would tell nothing new."""

    def __call__(self, kind: VoteKind, view: View, /) -> bool: ...


@dataclass(slots=True)
class VoteOutcome:
    """What came of one vote."""

    certificate: Certificate | None = None
    evidence: list[VoteEvidence] = field(default_factory=list)
    blamed: list[NodeId | None] = field(default_factory=list)


class VoteVerifier:
    """Signatures of one epoch's members."""

    def __init__(self, backend: BlsBackend, genesis_hash: Hash, validators: ValidatorSet) -> None:
        self._backend = backend
        self._genesis_hash = genesis_hash
        self._validators = validators

    def is_well_formed(self, vote: Vote) -> bool:
        """Whether it could be a vote of this epoch, signature aside."""
        if vote.epoch != self._validators.epoch or not 0 <= vote.signer < len(self._validators.validators):
            return False
        return vote.kind is not VoteKind.NULLIFY or vote.block_hash == ZERO_HASH

    def verify_vote(self, vote: Vote) -> bool:
        return verify_vote(self._backend, self._genesis_hash, self._validators, vote)

    def verify_certificate(self, certificate: Certificate) -> bool:
        return verify_certificate(self._backend, self._genesis_hash, self._validators, certificate)

    def find_valid(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """Those of `votes` (one message, distinct signers) whose signatures aggregate, found by bisection."""
        if self._verify_aggregate(votes):
            return tuple(votes)
        if len(votes) == 1:
            return ()
        half = len(votes) // 2
        return self.find_valid(votes[:half]) + self.find_valid(votes[half:])

    def build_certificate(self, votes: Sequence[Vote]) -> Certificate:
        return build_certificate(self._backend, self._validators, votes)

    def _verify_aggregate(self, votes: Sequence[Vote]) -> bool:
        first = votes[0]
        message = compute_vote_bytes(self._genesis_hash, first.kind, first.epoch, first.view, first.block_hash)
        keys = [self._validators.validators[vote.signer].consensus_key for vote in votes]
        try:
            signature = self._backend.aggregate([vote.signature for vote in votes])
        except InvalidInput:
            return False
        return self._backend.fast_aggregate_verify(keys, message, signature)


@dataclass(slots=True)
class _HeldVote:
    vote: Vote
    sender: NodeId | None
    is_verified: bool  # by itself: part of a good aggregate proves nothing about one vote


@dataclass(slots=True)
class _ViewVotes:
    held: dict[tuple[VoteKind, int], _HeldVote] = field(default_factory=dict)
    stakes: dict[tuple[VoteKind, Hash], int] = field(default_factory=dict)  # what the held votes of each kind add up to
    suspects: set[int] = field(default_factory=set)  # bad votes came in their name: verify each at once
    offenders: set[tuple[int, VoteKind]] = field(default_factory=set)  # evidence has been reported

    def hold(self, arrived: _HeldVote, stake: int) -> None:
        """The vote takes its signer's place."""
        vote = arrived.vote
        self.drop(vote.kind, vote.signer, stake)
        self.held[vote.kind, vote.signer] = arrived
        self.stakes[vote.kind, vote.block_hash] = self.stakes.get((vote.kind, vote.block_hash), 0) + stake

    def drop(self, kind: VoteKind, signer: int, stake: int) -> None:
        """Give the place back, if it is taken."""
        held = self.held.pop((kind, signer), None)
        if held is not None:
            self.stakes[kind, held.vote.block_hash] -= stake


class VoteBook:
    """The votes of the views around the current one; its callers bound how far ahead, `prune_below` how far behind."""

    def __init__(self, verifier: VoteVerifier, validators: ValidatorSet, is_settled: SettledCheck) -> None:
        self._verifier = verifier
        self._stakes = tuple(validator.stake for validator in validators.validators)
        self._total_stake = validators.total_stake
        self._is_settled = is_settled
        self._views: dict[View, _ViewVotes] = {}

    def add(self, vote: Vote, sender: NodeId | None, *, is_verified: bool = False) -> VoteOutcome:
        """Count a well-formed vote. At most one certificate comes of it."""
        outcome = VoteOutcome()
        votes = self._views.setdefault(vote.view, _ViewVotes())
        arrived = _HeldVote(vote, sender, is_verified)
        if self._admit(votes, arrived, outcome):
            votes.hold(arrived, self._stakes[vote.signer])
            self._compare_kinds(votes, arrived, outcome)
            self._tally(votes, vote, outcome)
        return outcome

    def collect_of(self, signer: int) -> tuple[Vote, ...]:
        """What is held in a member's name, verified or not; of many the latest."""
        found = [
            votes.held[kind, signer].vote
            for view in sorted(self._views)
            for votes in (self._views[view],)
            for kind in VoteKind
            if (kind, signer) in votes.held
        ]
        return tuple(found[-OWN_VOTES_PER_REPLY_MAX:])

    def prune_below(self, view: View) -> None:
        self._views = {at: votes for at, votes in self._views.items() if at >= view}

    def _admit(self, votes: _ViewVotes, arrived: _HeldVote, outcome: VoteOutcome) -> bool:
        """Whether the vote takes its signer's place; a place that was taken by a forgery is given back."""
        held = votes.held.get((arrived.vote.kind, arrived.vote.signer))
        if held is None:
            return arrived.vote.signer not in votes.suspects or self._prove(votes, arrived, outcome)
        if held.vote == arrived.vote or not self._prove(votes, arrived, outcome):
            return False
        if not self._prove(votes, held, outcome):
            return True
        self._report(votes, held.vote, arrived.vote, outcome)
        return False

    def _compare_kinds(self, votes: _ViewVotes, arrived: _HeldVote, outcome: VoteOutcome) -> None:
        """NULLIFY and FINALIZE exclude each other; both are proven before anybody is accused."""
        for kind in VoteKind:
            other = votes.held.get((kind, arrived.vote.signer))
            if other is None or not is_conflict(other.vote, arrived.vote):
                continue
            proven = [self._prove(votes, held, outcome) for held in (other, arrived)]
            for held, is_good in zip((other, arrived), proven, strict=True):
                if not is_good:
                    votes.drop(held.vote.kind, held.vote.signer, self._stakes[held.vote.signer])
            if all(proven):
                self._report(votes, other.vote, arrived.vote, outcome)

    def _tally(self, votes: _ViewVotes, vote: Vote, outcome: VoteOutcome) -> None:
        if self._is_settled(vote.kind, vote.view) or not self._has_quorum(votes, vote):
            return
        alike = {held.vote.signer: held for held in self._get_alike(votes, vote)}
        good = self._verifier.find_valid([held.vote for held in alike.values()])
        for signer in alike.keys() - {each.signer for each in good}:
            outcome.blamed.append(alike[signer].sender)
            votes.suspects.add(signer)
            votes.drop(vote.kind, signer, self._stakes[signer])
        if self._has_quorum(votes, vote):
            outcome.certificate = self._verifier.build_certificate(good)

    def _get_alike(self, votes: _ViewVotes, vote: Vote) -> Iterator[_HeldVote]:
        for (kind, _), held in votes.held.items():
            if kind is vote.kind and held.vote.block_hash == vote.block_hash:
                yield held

    def _has_quorum(self, votes: _ViewVotes, vote: Vote) -> bool:
        """Whether the votes like this one hold a quorum: added up as they come, for there are many."""
        return is_quorum(Stake(votes.stakes.get((vote.kind, vote.block_hash), 0)), self._total_stake)

    def _prove(self, votes: _ViewVotes, held: _HeldVote, outcome: VoteOutcome) -> bool:
        """Verify one vote by itself; blame whoever sent a bad one."""
        held.is_verified = held.is_verified or self._verifier.verify_vote(held.vote)
        if not held.is_verified:
            outcome.blamed.append(held.sender)
            votes.suspects.add(held.vote.signer)
        return held.is_verified

    def _report(self, votes: _ViewVotes, first: Vote, second: Vote, outcome: VoteOutcome) -> None:
        """Once per offender and kind: evidence against one offence is enough."""
        offence = (second.signer, max(first.kind, second.kind))
        if is_conflict(first, second) and offence not in votes.offenders:
            votes.offenders.add(offence)
            outcome.evidence.append(build_evidence(first, second))
