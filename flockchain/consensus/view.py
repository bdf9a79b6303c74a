"""What a core remembers of one view beside votes and certificates: the leader, its proposal, whether time ran out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from flockchain.consensus.elector import compute_leader
from flockchain.consensus.proposals import Parent
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Hash, View
from flockchain.primitives.validator_set import ValidatorSet
from flockchain.primitives.vote import Proposal

__all__ = ["ViewBook", "ViewState"]


@dataclass(slots=True)
class ViewState:
    """One view as we see it."""

    view: View
    leader: int
    proposal: Proposal | None = None  # the first one that the leader signed
    proposal_hash: Hash | None = None
    is_vetted: bool = False  # the proposal obeys the rules of form, and its check has been asked for
    parent: Parent | None = None  # we lead, and asked for a block upon this one
    is_expired: bool = False  # a time-out of the view has passed
    is_hopeless: bool = False  # nothing that an honest node may notarize can come of this view

    def apply_proposal(self, proposal: Proposal, block_hash: Hash) -> None:
        self.proposal, self.proposal_hash = proposal, block_hash

    def apply_vetted(self, parent_view: View) -> None:
        """The proposal obeys the rules of form; its parent is notarized in `parent_view`, whatever it said."""
        invariant(self.proposal is not None, "a proposal is there to be vetted", view=self.view)
        self.proposal = replace(self.proposal, parent_view=parent_view)  # type: ignore[type-var]
        self.is_vetted = True


class ViewBook:
    """The views around the current one; its callers bound how far ahead, `pop_below` how far behind."""

    def __init__(self, validators: ValidatorSet, seed: Hash) -> None:
        self._validators = validators
        self._seed = seed
        self._states: dict[View, ViewState] = {}

    def get(self, view: View) -> ViewState:
        """The view's state, blank the first time."""
        state = self._states.get(view)
        if state is None:
            state = self._states[view] = ViewState(view, compute_leader(self._validators, self._seed, view))
        return state

    def pop_below(self, view: View) -> Iterator[ViewState]:
        """Forget views before `view`, handing out each."""
        for old in [held for held in self._states if held < view]:
            yield self._states.pop(old)
