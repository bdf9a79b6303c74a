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
        """Whether this proposal of `leader` extends what is notarized (R3)."""
        if not self._certificates.floor_view <= proposal.parent_view < proposal.view:
            return Unsound("its parent lies below finality, or not before it")
        parent_hash = self._certificates.get_notarized(proposal.parent_view)
        if parent_hash is None:
            return MissingCertificates(proposal.parent_view)
        gap = self._certificates.find_gap(proposal.parent_view, proposal.view)
        if gap is not None:
            return MissingCertificates(gap)
        path = self._tree.find_path(parent_hash)
        if isinstance(path, MissingBlock):
            return path
        if proposal.block.header.view < proposal.view:
            return self._judge_repetition(block_hash, parent_hash, path)
        parent_height = self._tree.floor_height + len(path)
        fault = self._find_fault(proposal.block.header, proposal.view, parent_hash, parent_height, leader)
        return Unsound(fault) if fault else Sound((*path, block_hash))

    def _judge_repetition(self, block_hash: Hash, parent_hash: Hash, path: tuple[Hash, ...]) -> Sound | Unsound:
        if block_hash != parent_hash:
            return Unsound("an old block is proposed again that is not the one notarized")
        if not self.is_last_of_epoch(block_hash):
            return Unsound("a block is proposed again that does not end its epoch")
        return Sound(path)

    def _find_fault(self, header: Header, view: View, parent_hash: Hash, parent_height: int, leader: int) -> str | None:
        proposer = self._context.validators.validators[leader].account
        checks = {
            "its header names another view": header.view == view,
            "its header names another epoch": header.epoch == self._context.epoch,
            "its header names another parent": header.parent == parent_hash,
            "its height does not follow its parent's": header.height == parent_height + 1,
            "it is built upon the last block of the epoch": header.height <= self._context.last_height,
            "its proposer does not lead the view": header.proposer == proposer,
        }
        return next((fault for fault, is_kept in checks.items() if not is_kept), None)
