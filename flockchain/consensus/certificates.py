"""The certificates of an epoch above its last final view, and what follows from them alone.

The floor is the highest view known to be final with all its blocks (view 0, the anchor, at first): below
it nothing matters any more. Certificates are verified before they get here.
Knows no blocks and no votes.
"""

from __future__ import annotations

from typing import Final

from flockchain.primitives.errors import Fault
from flockchain.primitives.limits import CERTIFICATES_PER_REPLY_MAX, OWN_VOTES_PER_REPLY_MAX
from flockchain.primitives.numbers import Hash, View
from flockchain.primitives.vote import Certificate, VoteKind, decode_bitmap

__all__ = ["CertificateBook", "SafetyBroken"]

_REPLY_ORDER: Final = (VoteKind.NULLIFY, VoteKind.NOTARIZE, VoteKind.FINALIZE)


class SafetyBroken(Fault):
    """Two certificates contradict each other: validators with at least a third of the stake signed both."""


class CertificateBook:
    """At most one certificate per view and kind."""

    def __init__(self, anchor_hash: Hash) -> None:
        self.floor_view = View(0)
        self.floor_hash = anchor_hash
        self._floor_certificate: Certificate | None = None
        self._held: dict[VoteKind, dict[View, Certificate]] = {kind: {} for kind in VoteKind}
        self._base = (View(0), anchor_hash)
        self._highest_view = View(0)

    @property
    def highest_view(self) -> View:
        """The highest view that is over, by any certificate."""
        return self._highest_view

    @property
    def highest_final_view(self) -> View:
        """The highest view with a finalization, whether its blocks are gathered or not."""
        return max(self._held[VoteKind.FINALIZE], default=self.floor_view)

    @property
    def base(self) -> tuple[View, Hash]:
        """The highest view with a block that may be built upon, and that block."""
        return self._base

    @property
    def finalization(self) -> Certificate | None:
        """The lowest finalization above the floor: its blocks are still to be gathered.

        The lowest, because a search that turns to every newer one never ends.
        """
        pending = self._held[VoteKind.FINALIZE]
        return pending[min(pending)] if pending else None

    def has(self, kind: VoteKind, view: View) -> bool:
        """Whether another certificate of this kind and view would tell nothing new."""
        return view <= self.floor_view or view in self._held[kind]

    def is_nullified(self, view: View) -> bool:
        return view in self._held[VoteKind.NULLIFY]

    def get_notarized(self, view: View) -> Hash | None:
        """The block that may be built upon in this view; a finalization proves as much as a notarization."""
        if view == self.floor_view:
            return self.floor_hash
        for kind in (VoteKind.NOTARIZE, VoteKind.FINALIZE):
            if certificate := self._held[kind].get(view):
                return certificate.block_hash
        return None

    def find_view(self, block_hash: Hash, before: View) -> View | None:
        """The highest view before `before` in which this block may be built upon; None if we know of none."""
        kinds = (VoteKind.NOTARIZE, VoteKind.FINALIZE)
        views = [view for kind in kinds for view, held in self._held[kind].items() if held.block_hash == block_hash]
        if block_hash == self.floor_hash:
            views.append(self.floor_view)
        return max((view for view in views if view < before), default=None)

    def has_room_for(self, block_hash: Hash, before: View) -> bool:
        """Whether a view before `before` may have notarized this block for all that we know: one without a block."""
        views = range(self.floor_view, before)
        return any(self.get_notarized(View(at)) in (None, block_hash) for at in views)

    def is_certified(self, block_hash: Hash) -> bool:
        """Whether the block is known to be notarized or final, in any view."""
        kinds = (VoteKind.NOTARIZE, VoteKind.FINALIZE)
        found = (held.block_hash == block_hash for kind in kinds for held in self._held[kind].values())
        return block_hash == self.floor_hash or any(found)

    def add(self, certificate: Certificate) -> bool:
        """Keep a verified certificate; False if it tells nothing new. Raises `SafetyBroken` on a contradiction."""
        kind, view = certificate.kind, certificate.view
        self._require_consistent(certificate)
        if self.has(kind, view):
            return False
        self._held[kind][view] = certificate
        self._raise(certificate)
        return True

    def find_gap(self, parent_view: View, view: View) -> View | None:
        """The lowest view strictly between the two that is not nullified; None if there is none."""
        between = range(parent_view + 1, view)
        nullified = self._held[VoteKind.NULLIFY]
        return next((View(at) for at in between if at not in nullified), None)

    def collect_from(self, view: View) -> tuple[Certificate, ...]:
        """What a peer that asks from `view` on needs, ascending, within one reply's limit.

        The last place is for a certificate of the highest view: with it the peer can at once join that view.
        """
        found = [self._floor_certificate] if self._floor_certificate and view <= self.floor_view else []
        views = {at for held in self._held.values() for at in held if at >= view}
        for at in sorted(views):
            found += [held[at] for held in (self._held[kind] for kind in _REPLY_ORDER) if at in held]
        return (*found[: CERTIFICATES_PER_REPLY_MAX - 1], *found[CERTIFICATES_PER_REPLY_MAX - 1 :][-1:])

    def collect_of(self, signer: int) -> tuple[Certificate, ...]:
        """The certificates that carry a member's signature, ascending; of many the latest."""
        floor = (self._floor_certificate,) if self._floor_certificate else ()
        views = sorted({at for held in self._held.values() for at in held})
        above = (held[at] for at in views for held in self._held.values() if at in held)
        found = [held for held in (*floor, *above) if signer in decode_bitmap(held.signers)]
        return tuple(found[-OWN_VOTES_PER_REPLY_MAX:])

    def get_openers(self, view: View) -> tuple[Certificate, ...]:
        """The certificates that let a node enter `view`."""
        before = View(view - 1)
        if before == self.floor_view:
            return (self._floor_certificate,) if self._floor_certificate else ()
        return tuple(held[before] for held in self._held.values() if before in held)

    def apply_floor(self, certificate: Certificate) -> None:
        """Everything up to this finalization is settled: forget it."""
        view = certificate.view
        if view <= self.floor_view:
            return
        self.floor_view, self.floor_hash, self._floor_certificate = view, certificate.block_hash, certificate
        self._raise(certificate)
        for kind, held in self._held.items():
            self._held[kind] = {at: kept for at, kept in held.items() if at > view}

    def _raise(self, certificate: Certificate) -> None:
        self._highest_view = max(self._highest_view, certificate.view)
        if certificate.kind is not VoteKind.NULLIFY and certificate.view > self._base[0]:
            self._base = (certificate.view, certificate.block_hash)

    def _require_consistent(self, certificate: Certificate) -> None:
        view = certificate.view
        if certificate.kind is VoteKind.NULLIFY:
            is_final = view in self._held[VoteKind.FINALIZE] or (view == self.floor_view and view > 0)
            if is_final:
                raise SafetyBroken("a final view was nullified", view=view)
            return
        held = self.get_notarized(view)
        if held is not None and held != certificate.block_hash:
            raise SafetyBroken("two blocks are certified in one view", view=view, held=held, got=certificate.block_hash)
        if certificate.kind is VoteKind.FINALIZE and self.is_nullified(view):
            raise SafetyBroken("a nullified view was finalized", view=view)
