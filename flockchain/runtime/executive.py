"""The main path of state: a block in, its effects on the state out; or a block built from what waits.

Knows the order of a block: hooks, the proposer's reveal, evidence, the learning section, extrinsics, hooks. Checks all
that a header promises but two things: the state root, which whoever keeps the state tree compares, and that the
proposer leads this view, which consensus knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from flockchain.crypto.hashing import (
    compute_block_hash,
    compute_extrinsics_root,
    compute_inherents_root,
    compute_learning_root,
)
from flockchain.primitives.block import Block, Header
from flockchain.primitives.errors import InvalidInput, InvariantBroken, Refused, invariant
from flockchain.primitives.learning import LearningItem
from flockchain.primitives.limits import (
    EVIDENCE_PER_BLOCK_MAX,
    EXTRINSICS_PER_BLOCK_MAX,
    LEARNING_ITEMS_PER_BLOCK_MAX,
    POOL_PER_SENDER_MAX,
)
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Hash, Height, Nonce, TimestampMs, View
from flockchain.runtime.execution import BlockExecution, BlockFull, BlockOutcome, Receipt
from flockchain.runtime.extrinsics import CheckedExtrinsic, ExtrinsicChecker
from flockchain.runtime.flock import Runtime
from flockchain.runtime.frame import BlockContext, Context, EventLog, State, StateReader
from flockchain.runtime.pallets.balances import BalanceTooLow
from flockchain.runtime.pallets.system import NonceMismatch
from flockchain.storage.overlay import Overlay

__all__ = ["BlockDraft", "BlockOutcome", "Executive", "HeaderMismatch", "InvalidBlock", "Receipt"]

T = TypeVar("T")

BIRTH_AHEAD_BLOCKS_MAX: Final = 64


class InvalidBlock(InvalidInput):
    """A block that no honest validator notarizes. The cause is its `__cause__`."""


class HeaderMismatch(InvalidInput):
    """A header that says something else than its parent, its body, the state or the execution."""


@dataclass(frozen=True, slots=True)
class BlockDraft:
    """What a leader starts a block from. Evidence and items that are not valid here are left out."""

    parent: Header
    parent_hash: Hash
    view: View
    epoch: Epoch
    proposer: AccountId
    timestamp_ms: TimestampMs
    reveal: bytes
    evidence: tuple[bytes, ...]
    learning: tuple[LearningItem, ...]


class Executive:
    """Executes and builds blocks of one chain. Keeps no state but the cache of verified extrinsics."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime: Final = runtime
        self._checker = ExtrinsicChecker(runtime)

    def apply_block(self, state: State, block: Block, parent: Header, *, is_final: bool = False) -> BlockOutcome:
        """Execute `block` on its parent's post-state. Raises `InvalidBlock`, and then leaves `state` as it was."""
        header = block.header
        try:
            with state.transaction():
                self._require_header(state, block, parent)
                execution = BlockExecution(self.runtime, state, self._get_context(header, is_final=is_final))
                execution.initialize()
                execution.apply_reveal(block.reveal)
                for evidence in block.evidence:
                    execution.apply_evidence(evidence)
                for item in block.learning:
                    execution.apply_item(item)
                for raw in block.extrinsics:
                    execution.apply_extrinsic(self.check_extrinsic(raw))
                outcome = execution.finalize()
                _require_equal("events_root", header.events_root, outcome.events_root)
        except (InvalidInput, Refused, InvariantBroken) as error:  # no leader's block may stop us
            raise InvalidBlock(f"the block is invalid: {error}", height=header.height, view=header.view) from error
        return outcome

    def build_block(
        self, state: State, draft: BlockDraft, extrinsics: Iterable[CheckedExtrinsic]
    ) -> tuple[Block, BlockOutcome]:
        """A valid block on the draft's parent, with a zero state root, holding what is valid and fits."""
        header = self._draft_header(state, draft)
        with state.transaction():
            execution = BlockExecution(self.runtime, state, self._get_context(header))
            execution.initialize()
            execution.apply_reveal(draft.reveal)
            evidence = _fill(execution, execution.apply_evidence, draft.evidence, EVIDENCE_PER_BLOCK_MAX)
            learning = _fill(execution, execution.apply_item, draft.learning, LEARNING_ITEMS_PER_BLOCK_MAX)
            included = _fill(execution, execution.apply_extrinsic, extrinsics, EXTRINSICS_PER_BLOCK_MAX)
            outcome = execution.finalize()
        raw = tuple(checked.raw for checked in included)
        header = replace(
            header, inherents_root=compute_inherents_root(draft.reveal, evidence),
            learning_root=compute_learning_root(learning), extrinsics_root=compute_extrinsics_root(raw),
            events_root=outcome.events_root,
        )  # fmt: skip
        return Block(header, draft.reveal, evidence, learning, raw), outcome

    def check_extrinsic(self, raw: bytes) -> CheckedExtrinsic:
        """Decode and verify, once for the same bytes. Raises `InvalidInput`."""
        return self._checker.check(raw)

    def require_admissible(self, state: StateReader, checked: CheckedExtrinsic, pending_nonce: Nonce) -> None:
        """Refuse what no block soon after `state` could hold: expired, spent or far nonce, no money for the fee.

        `pending_nonce` is the sender's next one counting what waits already. An extrinsic may be born a little ahead
        of `state`, because its sender may have asked a node that is ahead of us.
        """
        runtime, payload = self.runtime, checked.payload
        height = Height(runtime.system.get_moment(state).height + 1)
        if height <= payload.birth < height + BIRTH_AHEAD_BLOCKS_MAX:
            height = Height(payload.birth + 1)
        runtime.system.require_alive(height, payload.birth, payload.lifetime_blocks)
        expected = runtime.system.get_nonce(state, payload.sender)
        if not expected <= payload.nonce <= max(expected, pending_nonce) + POOL_PER_SENDER_MAX:
            raise NonceMismatch(max(expected, pending_nonce), payload.nonce)
        free, charged = runtime.balances.get_free(state, payload.sender), checked.fee + payload.tip
        if free < charged:
            raise BalanceTooLow(payload.sender, free, charged)

    def require_evidence(self, state: StateReader, parent: Header, raw: bytes) -> None:
        """Refuse evidence that no block on top of `parent` could hold. `state` is the parent's post-state.

        Raises `EvidenceForged` for what nobody honest passes on, and other `InvalidInput` if it proves nothing new.
        """
        height = Height(parent.height + 1)
        block = BlockContext(
            compute_block_hash(parent), height, self.runtime.views.get_epoch(height), View(0), parent.timestamp_ms,
            parent.proposer, self.runtime.genesis_hash, self.runtime.spec_version, self.runtime.bls,
        )  # fmt: skip
        self.runtime.offences.require_offence(Context(Overlay(state), block, EventLog({})), raw)

    def _require_header(self, state: StateReader, block: Block, parent: Header) -> None:
        """Refuse a header that contradicts its parent, the epoch's sets or its own body."""
        header, runtime = block.header, self.runtime
        height = Height(parent.height + 1)
        epoch = runtime.views.get_epoch(height)
        _require_equal("parent", header.parent, compute_block_hash(parent))
        _require_equal("height", header.height, height)
        _require_equal("epoch", header.epoch, epoch)
        _require_equal("spec_version", header.spec_version, runtime.spec_version)
        first_view = parent.view + 1 if parent.epoch == epoch else 1
        if header.view < first_view:
            raise HeaderMismatch("the view is not after the parent's", view=header.view, first=first_view)
        if header.timestamp_ms < parent.timestamp_ms:
            raise HeaderMismatch("the time runs backwards", parent=parent.timestamp_ms, got=header.timestamp_ms)
        hashes = self._get_validators_hashes(state, epoch)
        _require_equal("validators_hash", header.validators_hash, hashes[0])
        _require_equal("next_validators_hash", header.next_validators_hash, hashes[1])
        if runtime.staking.get_validator_set(state, epoch).get_index_of(header.proposer) is None:
            raise HeaderMismatch("the proposer is no validator of this epoch", proposer=header.proposer, epoch=epoch)
        _require_equal("inherents_root", header.inherents_root, compute_inherents_root(block.reveal, block.evidence))
        _require_equal("learning_root", header.learning_root, compute_learning_root(block.learning))
        _require_equal("extrinsics_root", header.extrinsics_root, compute_extrinsics_root(block.extrinsics))

    def _draft_header(self, state: StateReader, draft: BlockDraft) -> Header:
        height = Height(draft.parent.height + 1)
        epoch = self.runtime.views.get_epoch(height)
        invariant(
            draft.epoch == epoch, "a leader drafts for the epoch of the next block", draft=draft.epoch, next=epoch
        )
        validators_hash, next_validators_hash = self._get_validators_hashes(state, epoch)
        return Header(
            parent=draft.parent_hash, height=height, epoch=epoch, view=draft.view,
            proposer=draft.proposer, timestamp_ms=max(draft.timestamp_ms, draft.parent.timestamp_ms),
            state_root=ZERO_HASH, inherents_root=ZERO_HASH, learning_root=ZERO_HASH, extrinsics_root=ZERO_HASH,
            events_root=ZERO_HASH, validators_hash=validators_hash,
            next_validators_hash=next_validators_hash, spec_version=self.runtime.spec_version,
        )  # fmt: skip

    def _get_validators_hashes(self, state: StateReader, epoch: Epoch) -> tuple[Hash, Hash]:
        staking = self.runtime.staking
        return staking.get_validators_hash(state, epoch), staking.get_validators_hash(state, Epoch(epoch + 1))

    def _get_context(self, header: Header, *, is_final: bool = False) -> BlockContext:
        return BlockContext(
            header.parent, header.height, header.epoch, header.view, header.timestamp_ms, header.proposer,
            self.runtime.genesis_hash, header.spec_version, self.runtime.bls, is_final,
        )  # fmt: skip


def _fill(execution: BlockExecution, step: Callable[[T], None], subjects: Iterable[T], most: int) -> tuple[T, ...]:
    """Those subjects, in their order, that the block takes until it is full."""
    taken: list[T] = []
    for subject in subjects:
        try:
            if execution.attempt(step, subject):
                taken.append(subject)
        except BlockFull:
            break
        if len(taken) == most:
            break
    return tuple(taken)


def _require_equal(field: str, named: object, expected: object) -> None:
    if named != expected:
        raise HeaderMismatch(f"the header's {field} is wrong", named=named, expected=expected)
