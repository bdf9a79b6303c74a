"""Mutants of consensus: votes, certificates, parents, leaders, epochs, journals, sync."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.consensus import certificates, core, guard, view, votes
from flockchain.consensus.certificates import CertificateBook
from flockchain.consensus.core import Core
from flockchain.consensus.effects import BroadcastVote
from flockchain.consensus.guard import GuardState, VoteRecord
from flockchain.consensus.proposals import ProposalRules
from flockchain.consensus.resolver import Resolver
from flockchain.consensus.votes import VoteBook, VoteVerifier
from flockchain.crypto import signing
from flockchain.primitives import validator_set
from flockchain.primitives.numbers import Epoch
from flockchain.primitives.vote import VoteKind
from flockchain.replica.catch_up import CatchUp
from flockchain.runtime.views import Views
from tests.mutants.mutant import Mutant

__all__ = ["CONSENSUS_MUTANTS"]


def weaken_quorum(patch: pytest.MonkeyPatch) -> None:
    for module in (validator_set, votes):
        patch.setattr(module, "is_quorum", lambda part, total: 3 * part > total)


def count_heads(patch: pytest.MonkeyPatch) -> None:
    """Every signer counts the same, whatever stake the state gives it."""
    patch.setattr(
        validator_set.ValidatorSet, "has_quorum", lambda self, members: 3 * len(set(members)) > 2 * len(self.validators)
    )
    patch.setattr(
        VoteBook, "_has_quorum", lambda self, held, vote: 3 * _count_alike(held, vote) > 2 * len(self._stakes)
    )


def _count_alike(held, vote) -> int:
    alike = (each.vote for each in held.held.values())
    return sum((each.kind, each.block_hash) == (vote.kind, vote.block_hash) for each in alike)


def count_signer_twice(patch: pytest.MonkeyPatch) -> None:
    """The stake of the first signer is added once more, as if its bit were there twice."""
    right = validator_set.ValidatorSet.get_stake_of

    def count(self, members):
        return right(self, members) + self.validators[min(members)].stake if members else 0

    patch.setattr(validator_set.ValidatorSet, "get_stake_of", count)
    has_quorum = VoteBook._has_quorum

    def has(self, held, vote):
        alike = {each.vote.signer for each in held.held.values()
                 if (each.vote.kind, each.vote.block_hash) == (vote.kind, vote.block_hash)}  # fmt: skip
        twice = sum(self._stakes[signer] for signer in alike) + (self._stakes[min(alike)] if alike else 0)
        return has_quorum(self, held, vote) or 3 * twice > 2 * self._total_stake

    patch.setattr(VoteBook, "_has_quorum", has)


def finalize_after_nullify(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(guard._EXCLUDED_BY, VoteKind.FINALIZE, (VoteKind.FINALIZE,))


def vote_twice(patch: pytest.MonkeyPatch) -> None:
    """A second block that the view's leader signed is voted for like the first."""
    right = Core._on_proposal

    def on_proposal(self, event):
        state = self._views.get(event.proposal.view)
        block_hash = core.compute_block_hash(event.proposal.block.header)
        if state.proposal_hash not in (None, block_hash) and not self._ballot.is_seat_of(state.leader):
            state.proposal = state.proposal_hash = None
            state.is_vetted = state.is_hopeless = False
            self._guard._votes.pop((event.proposal.view, VoteKind.NOTARIZE), None)
        right(self, event)

    patch.setattr(Core, "_on_proposal", on_proposal)
    patch.setattr(VoteBook, "_admit", lambda *_: True)


def forget_votes_at_restart(patch: pytest.MonkeyPatch) -> None:
    right = GuardState._restore
    patch.setattr(
        GuardState,
        "_restore",
        lambda self, record: None if isinstance(record, VoteRecord) else right(self, record),
    )


def skip_nullifications(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CertificateBook, "find_gap", lambda *_: None)


def take_any_parent(patch: pytest.MonkeyPatch) -> None:
    """A parent that is here need not be notarized."""
    right = ProposalRules._find_parent_view

    def find(self, proposal, parent_hash):
        found = right(self, proposal, parent_hash)
        parent = self._tree.get_block(parent_hash)
        return parent.header.view if found is None and parent is not None else found

    patch.setattr(ProposalRules, "_find_parent_view", find)


def draw_leaders_by_turns(patch: pytest.MonkeyPatch) -> None:
    for module in (view, core):
        patch.setattr(module, "compute_leader", lambda members, _, at: at % len(members.validators))


def believe_certificates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(VoteVerifier, "verify_certificate", lambda self, certificate: bool(certificate.signers))


def believe_votes(patch: pytest.MonkeyPatch) -> None:
    """Votes are added up without a look at their signatures."""
    patch.setattr(VoteVerifier, "find_valid", lambda self, found: tuple(found))


def sign_without_domain(patch: pytest.MonkeyPatch) -> None:
    """NOTARIZE and FINALIZE are over the same bytes."""
    patch.setitem(signing._DOMAIN_OF_VOTE, VoteKind.FINALIZE, signing.Domain.NOTARIZE)


def keep_old_set(patch: pytest.MonkeyPatch) -> None:
    """An epoch goes on with the set of the one before."""
    right = Views.get_validator_set

    def get(self, state, epoch):
        return replace(right(self, state, Epoch(epoch - 1)), epoch=epoch) if epoch > 1 else right(self, state, epoch)

    patch.setattr(Views, "get_validator_set", get)


def send_before_journal(patch: pytest.MonkeyPatch) -> None:
    def cast(self, cast):
        journal, vote = cast
        self._emit(BroadcastVote(vote), journal)
        self._count(vote, None, is_verified=True)

    patch.setattr(Core, "_cast", cast)


def sync_without_certificates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CatchUp, "_verify_certificate", lambda *_: True)


def expose_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(VoteBook, "_report", lambda *_: None)


def settle_for_notarization(patch: pytest.MonkeyPatch) -> None:
    """A notarized block counts as final."""
    right = CertificateBook.add

    def add(self, certificate):
        is_new = right(self, certificate)
        if is_new and certificate.kind is VoteKind.NOTARIZE:
            self._held[VoteKind.FINALIZE].setdefault(certificate.view, replace(certificate, kind=VoteKind.FINALIZE))
        return is_new

    patch.setattr(certificates.CertificateBook, "add", add)


def sign_below_the_floor(patch: pytest.MonkeyPatch) -> None:
    """After a restart a node begins in the first view again."""
    patch.setattr(GuardState, "get_votes", lambda self: ())
    patch.setattr(GuardState, "may_sign", lambda self, kind, at: (at, kind) not in self._votes)


def keep_only_votes(patch: pytest.MonkeyPatch) -> None:
    """A journal gives back what was signed, and neither the bodies nor the certificates that came with it."""
    right = GuardState._restore

    def restore(self, record):
        if isinstance(record, VoteRecord):
            right(self, replace(record, block=None, certificate=None))

    patch.setattr(GuardState, "_restore", restore)


def never_ask(patch: pytest.MonkeyPatch) -> None:
    for wish in ("want_block", "want_certificates"):
        patch.setattr(Resolver, wish, lambda *_: ())


def never_repeat(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Core, "_say_again", lambda _: None)


CONSENSUS_MUTANTS = (
    Mutant("weak_quorum", "a quorum is more than 2/3 of the stake", weaken_quorum, "swarm", ("quorum",)),
    Mutant(
        "two_quorums_fork",
        "any two quorums share an honest member",
        weaken_quorum,
        "swarm+equivocating_leader",
        ("agreement",),
        seed=11,
    ),
    Mutant("heads_not_stake", "stake is the state's, not one a head", count_heads, "uneven", ("quorum",)),
    Mutant("signer_counted_twice", "a signer counts once", count_signer_twice, "swarm", ("quorum",)),
    Mutant(
        "finalize_after_nullify", "no FINALIZE after NULLIFY", finalize_after_nullify, "swarm", ("one vote",), seed=1
    ),
    Mutant("double_vote", "one NOTARIZE a view", vote_twice, "equivocating_leader", ("one vote",)),
    Mutant(
        "forgotten_vote",
        "votes are remembered across restarts",
        forget_votes_at_restart,
        "swarm",
        ("one vote",),
        seed=9,
    ),
    Mutant(
        "skipped_nullification",
        "views between are nullified",
        skip_nullifications,
        "swarm+forking_leader",
        ("ancestry",),
    ),
    Mutant(
        "parent_not_notarized", "a parent is notarized", take_any_parent, "swarm+forking_leader", ("ancestry",), seed=5
    ),
    Mutant("leaders_by_turns", "leaders are drawn by stake", draw_leaders_by_turns, "swarm", ("leader",)),
    Mutant("certificate_believed", "certificates are verified", believe_certificates, "forger", ("quorum",)),
    Mutant("votes_believed", "votes are verified before they count", believe_votes, "forger", ("quorum",)),
    Mutant("wrong_domain", "each kind has its own signed bytes", sign_without_domain, "swarm", ("quorum",)),
    Mutant("stale_set", "an epoch has its own set", keep_old_set, "epoch", ("quorum", "leader"), is_slow=True),
    Mutant(
        "sent_before_journal", "a vote is on disk before it is sent", send_before_journal, "swarm", ("persistence",)
    ),
    Mutant(
        "sync_uncertified",
        "synced blocks are certified",
        sync_without_certificates,
        "sync+forger",
        ("quorum",),
        seed=4,
        is_slow=True,
    ),
    Mutant("nobody_exposed", "who signs twice is exposed", expose_nobody, "swarm+double_voter", ("exposure",)),
    Mutant("notarized_is_final", "a block is final by FINALIZE", settle_for_notarization, "swarm", ("quorum",)),
    Mutant("floor_ignored", "nothing is signed below finality", sign_below_the_floor, "swarm", ("one vote",), seed=1),
    Mutant("only_votes_kept", "a journal holds what votes rest upon", keep_only_votes, "swarm", ("progress",), seed=9),
    Mutant("never_asked", "what a rule lacks is asked for", never_ask, "swarm+withholder", ("progress",), seed=3),
    Mutant("never_repeated", "a view that does not end is said again", never_repeat, "swarm", ("progress",)),
)
