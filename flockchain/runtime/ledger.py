"""The tree of executed blocks: the finalized state, and what notarized blocks would make of it.

Two notarized blocks of different views can briefly stand side by side; each is executed on its
parent's post-state as a layer of changes over the finalized store, with its own (structurally
shared) state tree. Finalizing a block drops every branch that does not contain it. Nothing here
touches the disk: the caller commits what `finalize` returns and then calls `settle`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import Block, Header
from flockchain.primitives.errors import Fault, InvalidInput, Refused, invariant
from flockchain.primitives.numbers import Hash
from flockchain.runtime.execution import BLOCK_OUTCOME
from flockchain.runtime.executive import BlockDraft, BlockOutcome, Executive
from flockchain.runtime.extrinsics import CheckedExtrinsic
from flockchain.storage.overlay import Overlay, StateReader
from flockchain.storage.tree import StateTree

__all__ = ["ExecutedBlock", "FinalBlockNotExecuted", "Ledger", "UnknownParent", "WrongBody", "WrongStateRoot"]

Changes = dict[bytes, bytes | None]


class FinalBlockNotExecuted(Fault):
    """A quorum finalized a block that is on no branch executed here."""


class UnknownParent(Refused):
    """A block whose parent was not executed here (yet)."""


class WrongBody(InvalidInput):
    """A body under the header of a block that was executed here with another one."""


class WrongStateRoot(InvalidInput):
    """A block's header names another post-state than its execution gives."""


class _Layer:
    """A block's changes over its parent's layer, or over the finalized store when `parent` is None."""

    __slots__ = ("changes", "parent", "store")

    def __init__(self, store: StateReader, parent: _Layer | None, changes: Changes) -> None:
        self.store = store
        self.parent = parent
        self.changes = changes

    def get(self, key: bytes) -> bytes | None:
        layer: _Layer | None = self
        while layer is not None:
            if key in layer.changes:
                return layer.changes[key]
            layer = layer.parent
        return self.store.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        merged: Changes = {}
        layer: _Layer | None = self
        while layer is not None:
            for key, value in layer.changes.items():
                if key.startswith(prefix):
                    merged.setdefault(key, value)
            layer = layer.parent
        if not merged:
            yield from self.store.scan(prefix)
            return
        below = {key: value for key, value in self.store.scan(prefix) if key not in merged}
        below.update((key, value) for key, value in merged.items() if value is not None)
        yield from sorted(below.items())


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block with everything that its execution gave."""

    block: Block
    block_hash: Hash
    outcome: BlockOutcome | None  # None for the block that the ledger started from
    tree: StateTree
    layer: _Layer

    @property
    def header(self) -> Header:
        return self.block.header

    @property
    def changes(self) -> Changes:
        """The flat state changes of this block alone."""
        return self.layer.changes

    @property
    def state(self) -> StateReader:
        """The post-state."""
        return self.layer

    def encode_receipts(self) -> bytes:
        """Events and receipts as the archive keeps them."""
        invariant(self.outcome is not None, "the block that a ledger starts from is stored already")
        return BLOCK_OUTCOME.encode(self.outcome)  # type: ignore[arg-type]


class Ledger:
    """Executes blocks on their parents and remembers the results until finality decides.

    `store` is the finalized flat state, `tree` its state tree, `head` the finalized block.
    """

    def __init__(self, executive: Executive, store: StateReader, tree: StateTree, head: Block) -> None:
        self._executive = executive
        self._store = store
        head_hash = compute_block_hash(head.header)
        self._finalized = ExecutedBlock(head, head_hash, None, tree, _Layer(store, None, {}))
        self._blocks: dict[Hash, ExecutedBlock] = {head_hash: self._finalized}
        self._unsettled: list[ExecutedBlock] = []
        invariant(tree.root == head.header.state_root, "the stored state is not the head's", height=head.header.height)

    @property
    def finalized(self) -> ExecutedBlock:
        return self._finalized

    @property
    def executive(self) -> Executive:
        return self._executive

    def get(self, block_hash: Hash) -> ExecutedBlock | None:
        """The executed block of that hash: the finalized one, or one above it."""
        return self._blocks.get(block_hash)

    def execute(self, block: Block) -> ExecutedBlock:
        """Execute `block` on its parent's post-state, once.

        Raises `UnknownParent`, or `InvalidInput` (an invalid block); either leaves the ledger as it was.
        """
        return self._execute(block, is_final=False)

    def execute_final(self, block: Block) -> ExecutedBlock:
        """As `execute`, for a block that a certificate finalizes: its reveal's signature is not checked again.

        A quorum checked it, as it did the state that a snapshot gives. What the block does to our state is computed.
        """
        return self._execute(block, is_final=True)

    def _execute(self, block: Block, *, is_final: bool) -> ExecutedBlock:
        block_hash = compute_block_hash(block.header)
        known = self._blocks.get(block_hash)
        if known is not None:
            if known.block != block:
                raise WrongBody("block has another body than the one with its header", block=block_hash)
            return known
        parent = self._require_parent(block.header.parent)
        overlay = Overlay(parent.layer)
        outcome = self._executive.apply_block(overlay, block, parent.header, is_final=is_final)
        changes = dict(overlay.changes)
        tree = parent.tree.apply(changes)
        if tree.root != block.header.state_root:
            raise WrongStateRoot("state root is not the execution's", named=block.header.state_root, computed=tree.root)
        return self._add(parent, block, block_hash, outcome, changes, tree)

    def build(self, draft: BlockDraft, extrinsics: Iterable[CheckedExtrinsic]) -> Block:
        """A valid block on the draft's parent, holding what fits of `extrinsics` and of the draft's items."""
        parent = self._require_parent(draft.parent_hash)
        overlay = Overlay(parent.layer)
        unsealed, outcome = self._executive.build_block(overlay, draft, extrinsics)
        changes = dict(overlay.changes)
        tree = parent.tree.apply(changes)
        block = replace(unsealed, header=replace(unsealed.header, state_root=tree.root))
        self._add(parent, block, compute_block_hash(block.header), outcome, changes, tree)
        return block

    def finalize(self, block_hash: Hash) -> list[ExecutedBlock]:
        """Make `block_hash` final. Returns it and its ancestors above the old head, oldest first, to be committed.

        Raises `FinalBlockNotExecuted`: the network and this node do not compute the same, and this node stops.
        """
        try:
            path = self.get_path(block_hash)
        except UnknownParent as error:
            raise FinalBlockNotExecuted(
                "the network finalized a block that this node's own execution refused: is it an old release?",
                block=block_hash,
            ) from error
        if not path:
            return []
        self._finalized = path[-1]
        self._unsettled.extend(path)
        self._drop_dead_branches()
        return path

    def settle(self) -> None:
        """What `finalize` returned is in the store now: forget its layers."""
        if not self._unsettled:
            return
        self._unsettled.clear()
        for executed in self._blocks.values():
            if executed.header.parent == self._finalized.block_hash:
                executed.layer.parent = None
        head = self._finalized
        settled = replace(head, layer=_Layer(self._store, None, {}))
        self._finalized = self._blocks[head.block_hash] = settled

    def get_path(self, block_hash: Hash) -> list[ExecutedBlock]:
        """The executed blocks above the finalized one down to `block_hash`, oldest first.

        Empty for the finalized block itself. Raises `UnknownParent` when the block does not descend from it.
        """
        path: list[ExecutedBlock] = []
        at = block_hash
        while at != self._finalized.block_hash:
            executed = self._require_parent(at)
            path.append(executed)
            at = executed.header.parent
        path.reverse()
        return path

    def get_pending(self, block_hash: Hash, key: Callable[[Block], Iterable[Hash]]) -> set[Hash]:
        """`key` of every block above the finalized one down to `block_hash`: what that branch holds already."""
        return {item for executed in self.get_path(block_hash) for item in key(executed.block)}

    def _add(
        self, parent: ExecutedBlock, block: Block, block_hash: Hash, outcome: BlockOutcome, changes: Changes,
        tree: StateTree,
    ) -> ExecutedBlock:  # fmt: skip
        layer = _Layer(self._store, self._layer_above_store(parent), changes)
        executed = ExecutedBlock(block, block_hash, outcome, tree, layer)
        self._blocks[block_hash] = executed
        return executed

    def _layer_above_store(self, parent: ExecutedBlock) -> _Layer | None:
        is_settled = parent.block_hash == self._finalized.block_hash and not self._unsettled
        return None if is_settled else parent.layer

    def _require_parent(self, block_hash: Hash) -> ExecutedBlock:
        executed = self._blocks.get(block_hash)
        if executed is None:
            raise UnknownParent("block is not on a branch that was executed here", block=block_hash)
        return executed

    def _drop_dead_branches(self) -> None:
        alive: dict[Hash, ExecutedBlock] = {self._finalized.block_hash: self._finalized}
        for executed in sorted(self._blocks.values(), key=lambda item: item.header.height):
            if executed.header.parent in alive and executed.header.height > self._finalized.header.height:
                alive[executed.block_hash] = executed
        self._blocks = alive
