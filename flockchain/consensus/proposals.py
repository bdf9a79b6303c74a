"""What a block in a view may rest upon: for the leader that chooses a parent, and for those who judge its choice.

Pure questions to the certificates and the blocks that we hold. An answer can be that we lack something;
the core then asks for it and comes back. How a block executes is not judged here.
"""

from __future__ import annotations

from dataclasses import dataclass

from flockchain.consensus.certificates import CertificateBook
from flockchain.consensus.chain import BlockTree, MissingBlock
from flockchain.consensus.config import EpochContext
from flockchain.primitives.block import Header
from flockchain.primitives.numbers import Hash, View
from flockchain.primitives.vote import Proposal

__all__ = ["MissingCertificates", "Parent", "ProposalRules", "Sound", "Unsound"]


@dataclass(frozen=True, slots=True)
class MissingCertificates:
    """We cannot tell without certificates of this view, and perhaps of later ones."""

    from_view: View


@dataclass(frozen=True, slots=True)
class Parent:
    """The block to build upon. `path`: it and its ancestors above the floor, oldest first."""

    view: View
    block_hash: Hash
    path: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Sound:
    """The proposal may be checked. `path`: its block's ancestors above the floor, then the block itself."""

    path: tuple[Hash, ...]
    parent_view: View  # in which the parent is notarized, by our certificates


@dataclass(frozen=True, slots=True)
class Unsound:
    """No honest node notarizes this proposal."""

    reason: str


class ProposalRules:
    """The rule of extension, over one epoch's certificates and blocks."""

    def __init__(self, context: EpochContext, certificates: CertificateBook, tree: BlockTree) -> None:
        self._context = context
        self._certificates = certificates
        self._tree = tree

    def is_last_of_epoch(self, block_hash: Hash) -> bool:
        """Nothing is built upon such a block in this epoch: it is proposed again until it is final."""
        return self._tree.get_height(block_hash) == self._context.last_height

    def find_parent(self, view: View) -> Parent | MissingCertificates | MissingBlock:
        """The highest block that may be built upon before `view`, with every view between nullified."""
        parent_view, parent_hash = self._certificates.base
        gap = self._certificates.find_gap(parent_view, view)
        if gap is not None:
            return MissingCertificates(gap)
        path = self._tree.find_path(parent_hash)
        return path if isinstance(path, MissingBlock) else Parent(parent_view, parent_hash, path)

    def judge(
        self, proposal: Proposal, block_hash: Hash, leader: int
    ) -> Sound | Unsound | MissingCertificates | MissingBlock:
        """Whether this proposal of `leader` extends what is notarized (R3).

        Its leader signed the block only: the view that it names for the parent is a hint, which anybody on the way
        could have changed, and must not count against it.
        """
        header = proposal.block.header
        is_repetition = header.view < proposal.view
        if header.height <= self._tree.floor_height:
            return Unsound("it does not lie above finality")
        parent_hash = block_hash if is_repetition else header.parent
        parent_view = self._find_parent_view(proposal, parent_hash)
        if parent_view is None:
            if not self._certificates.has_room_for(parent_hash, proposal.view):
                return Unsound("no view before it can have notarized its parent")
            return MissingCertificates(self._guess_parent_view(proposal))
        gap = self._certificates.find_gap(parent_view, proposal.view)
        if gap is not None:
            return MissingCertificates(gap)
        path = self._tree.find_path(parent_hash)
        if isinstance(path, MissingBlock):
            return path
        if is_repetition:
            is_last = self.is_last_of_epoch(block_hash)
            return Sound(path, parent_view) if is_last else Unsound("a block is proposed again that ends no epoch")
        fault = self._find_fault(header, proposal.view, self._tree.floor_height + len(path), leader)
        return Unsound(fault) if fault else Sound((*path, block_hash), parent_view)

    def _find_parent_view(self, proposal: Proposal, parent_hash: Hash) -> View | None:
        """The highest view before the proposal's in which we know the parent to be notarized."""
        return self._certificates.find_view(parent_hash, proposal.view)

    def _guess_parent_view(self, proposal: Proposal) -> View:
        """From where on to ask for certificates: the named view if it may be right, else everything that we lack."""
        lowest = View(self._certificates.floor_view + 1)
        is_open = lowest <= proposal.parent_view < proposal.view
        if is_open and self._certificates.get_notarized(proposal.parent_view) is None:
            return proposal.parent_view
        return lowest

    def _find_fault(self, header: Header, view: View, parent_height: int, leader: int) -> str | None:
        proposer = self._context.validators.validators[leader].account
        checks = {
            "its header names another view": header.view == view,
            "its header names another epoch": header.epoch == self._context.epoch,
            "its height does not follow its parent's": header.height == parent_height + 1,
            "it is built upon the last block of the epoch": header.height <= self._context.last_height,
            "its proposer does not lead the view": header.proposer == proposer,
        }
        return next((fault for fault, is_kept in checks.items() if not is_kept), None)
