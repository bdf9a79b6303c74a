"""Mutants of learning: items of a block, phases, verdicts, certificates over aggregates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.consensus import chain
from flockchain.primitives.learning import ReasonCode
from flockchain.primitives.rounds import CommitteeMember
from flockchain.runtime import executive, tally
from flockchain.runtime.pallets import models, validation
from flockchain.runtime.pallets.validation import Validation
from tests.mutants.mutant import Mutant

__all__ = ["LEARNING_MUTANTS"]


def take_any_reveal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(validation, "require_opening", lambda *_: None)


def take_any_commit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(validation, "require_commit_signature", lambda *_: None)


def take_items_of_outsiders(patch: pytest.MonkeyPatch) -> None:
    """Any validator is a member, drawn or not."""
    right = Validation._require_member

    def require(self, state, key, account):
        epoch = validation.DRAWS.require(state, key).epoch
        for member in self._validators.get_validator_set(state, epoch).validators:
            if member.account == account:
                return CommitteeMember(account, member.stake, member.score_key, member.certificate_key)
        return right(self, state, key, account)

    patch.setattr(Validation, "_require_member", require)


def take_items_twice(patch: pytest.MonkeyPatch) -> None:
    right = validation.COMMITS.contains

    def contains(state, key):
        return right(state, key) and validation.REVEALS.contains(state, key)

    patch.setattr(validation.COMMITS, "contains", contains)


def certify_other_results(patch: pytest.MonkeyPatch) -> None:
    right = models.require_certificate

    def require(crypto, genesis_hash, certificate, results_root, committee):
        return right(crypto, genesis_hash, certificate, certificate.results_root, committee)

    patch.setattr(models, "require_certificate", require)


def certify_with_anybody(patch: pytest.MonkeyPatch) -> None:
    """A certificate needs no quorum of the committee."""
    from flockchain.runtime import score_rules

    patch.setattr(score_rules, "is_quorum", lambda part, total: part > 0)


def ignore_learning_root(patch: pytest.MonkeyPatch) -> None:
    """V2 is checked at the door and at execution: it goes at both."""
    right, is_whole = executive._require_equal, chain.verify_body

    def require(field, named, expected):
        if field != "learning_root":
            right(field, named, expected)

    def verify(block):
        root = chain.compute_learning_root(block.learning)
        return is_whole(replace(block, header=replace(block.header, learning_root=root)))

    patch.setattr(executive, "_require_equal", require)
    patch.setattr("flockchain.consensus.core.verify_body", verify)


def never_close(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Validation, "_step_commit", lambda *_: False)


def judge_by_other_margin(patch: pytest.MonkeyPatch) -> None:
    """A reputation fades by a quarter and not by a fifth."""
    patch.setattr(
        tally, "compute_reputation", lambda before, score, cap: min(cap, (3 * abs(before) // 4) * _sign(before) + score)
    )


def _sign(value: int) -> int:
    return 1 if value >= 0 else -1


def accept_everything(patch: pytest.MonkeyPatch) -> None:
    right = validation.compute_verdicts

    def compute(*arguments):
        return tuple(replace(verdict, reason=ReasonCode.ACCEPTED) for verdict in right(*arguments))

    patch.setattr(validation, "compute_verdicts", compute)


def take_lower_median(patch: pytest.MonkeyPatch) -> None:
    """The least score counts, whatever stake is behind it."""
    patch.setattr(tally, "compute_weighted_median", lambda scores: min(scores)[0])


def advance_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Validation, "on_certified", lambda *_: None)


LEARNING_MUTANTS = (
    Mutant(
        "reveal_unchecked",
        "V3: a reveal opens its commit",
        take_any_reveal,
        "false_revealer",
        ("learning items", "validity"),
    ),
    Mutant(
        "commit_unchecked",
        "V1: a commit is signed by its voter",
        take_any_commit,
        "impostor",
        ("learning items", "validity"),
    ),
    Mutant(
        "outsider_accepted",
        "V1: items are of members",
        take_items_of_outsiders,
        "small_committee+outsider",
        ("learning items", "validity", "invariants"),
        is_slow=True,
    ),
    Mutant("commit_twice", "V1: one commit a member", take_items_twice, "double_committer", ("learning items",)),
    Mutant(
        "other_results",
        "V4: a certificate is over the state's results",
        certify_other_results,
        "small_committee+two_results",
        ("certified model",),
        is_slow=True,
    ),
    Mutant(
        "certificate_of_one",
        "V4: a quorum of the committee certifies",
        certify_with_anybody,
        "lone_certifier",
        ("certified model",),
    ),
    Mutant(
        "learning_root_unchecked",
        "V2: the section has its root",
        ignore_learning_root,
        "root_forger",
        ("learning items", "validity"),
    ),
    Mutant(
        "phase_never_closes", "V5: a phase ends at its deadline", never_close, "learning", ("deadline",), is_slow=True
    ),
    Mutant(
        "reputation_fades_faster",
        "T6: reputations fade by a fifth",
        judge_by_other_margin,
        "learning",
        ("verdicts",),
        seed=1,
        is_slow=True,
    ),
    Mutant(
        "everything_accepted",
        "V4: verdicts are the scores' own",
        accept_everything,
        "learning",
        ("verdicts",),
        is_slow=True,
    ),
    Mutant(
        "least_score_counts",
        "T5: the weighted median counts",
        take_lower_median,
        "learning",
        ("verdicts",),
        is_slow=True,
    ),
    Mutant("advances_twice", "a model advances once a round", advance_twice, "learning", ("certified model",), seed=1),
)
