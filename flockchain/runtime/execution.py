"""One block under execution: its context, its events and receipts, what it has used of its room.

Knows how each thing in a block is applied, and that a failed call keeps its fee and its nonce and leaves nothing else.
Does not know what a header promises (`executive.py`). A step that raises leaves its changes to the caller's
transaction; `attempt` brings one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from flockchain.crypto.hashing import compute_events_root
from flockchain.primitives.codec import BOOL, HASH, U64, U128, ListOf, Text, VarBytes, struct
from flockchain.primitives.errors import InvalidInput, InvariantBroken, Refused
from flockchain.primitives.learning import LEARNING_ITEM, LearningItem
from flockchain.primitives.limits import EVENTS_PER_BLOCK_MAX, EXTRINSICS_PER_BLOCK_MAX, KIB
from flockchain.primitives.numbers import Balance, Hash
from flockchain.runtime.extrinsics import CheckedExtrinsic
from flockchain.runtime.flock import Runtime
from flockchain.runtime.frame import NO_EXTRINSIC, BlockContext, CallContext, Context, EncodedEvent, EventLog, State
from flockchain.runtime.pallets.system import REFUSAL_BYTES_MAX, ExtrinsicApplied

__all__ = ["BLOCK_OUTCOME", "BlockExecution", "BlockFull", "BlockOutcome", "ItemUnknown", "Receipt"]

T = TypeVar("T")

RECEIPT_TEXT_BYTES_MAX: Final = 512
EVENT_BYTES_MAX: Final = 64 * KIB
EMPTY_BLOCK_BYTES: Final = 1 * KIB  # header, reveal and the lengths of lists, rounded up


class BlockFull(Refused):
    """The block has no room for this."""


class ItemUnknown(InvalidInput):
    """No pallet takes such a learning item."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of an extrinsic. `refusal` is empty when the call succeeded; `fee` includes the tip."""

    extrinsic: Hash
    is_success: bool
    refusal: str
    fee: Balance
    weight: int


@dataclass(frozen=True, slots=True)
class BlockOutcome:
    """What executing a block gave, beside its changes to the state."""

    events: tuple[EncodedEvent, ...]
    receipts: tuple[Receipt, ...]
    events_root: Hash
    weight: int


BLOCK_OUTCOME: Final = struct(
    BlockOutcome, events=ListOf(VarBytes(EVENT_BYTES_MAX), EVENTS_PER_BLOCK_MAX),
    receipts=ListOf(
        struct(Receipt, extrinsic=HASH, is_success=BOOL, refusal=Text(RECEIPT_TEXT_BYTES_MAX), fee=U128, weight=U64),
        EXTRINSICS_PER_BLOCK_MAX,
    ),
    events_root=HASH, weight=U64,
)  # fmt: skip


class BlockExecution:
    """Runs the parts of one block, in the order in which its methods are called."""

    def __init__(self, runtime: Runtime, state: State, block: BlockContext) -> None:
        self._runtime = runtime
        self._events = EventLog(runtime.event_table)
        self._ctx = Context(state, block, self._events)
        self._receipts: list[Receipt] = []
        self._fees = 0
        self._tips = 0
        self._weight = 0
        self._bytes = EMPTY_BLOCK_BYTES

    def initialize(self) -> None:
        """Every pallet's first hook."""
        for pallet in self._runtime.pallets:
            pallet.on_initialize(self._ctx)

    def apply_reveal(self, reveal: bytes) -> None:
        """Mix in the proposer's randomness."""
        block = self._ctx.block
        members = self._runtime.staking.get_validator_set(self._ctx.state, block.epoch).validators
        key = next((member.consensus_key for member in members if member.account == block.proposer), b"")
        self._runtime.system.apply_reveal(self._ctx, reveal, key)

    def apply_evidence(self, raw: bytes) -> None:
        """Punish one proven offence."""
        self._take_room(4 + len(raw), 0)
        self._runtime.offences.apply_evidence(self._ctx, raw)

    def apply_item(self, item: LearningItem) -> None:
        """Hand one item of the learning section to its pallet, which refuses what breaks V1 to V4."""
        self._take_room(len(LEARNING_ITEM.encode(item)), 0)
        handler = self._runtime.items.get(type(item))
        if handler is None:
            raise ItemUnknown("no pallet takes this item", type=type(item).__name__)
        handler(self._ctx, item)

    def apply_extrinsic(self, checked: CheckedExtrinsic) -> None:
        """Include an extrinsic: nonce and fee first, then its call, whose failure becomes a receipt."""
        payload, state, system = checked.payload, self._ctx.state, self._runtime.system
        system.require_alive(self._ctx.block.height, payload.birth, payload.lifetime_blocks)
        system.apply_nonce(state, payload.sender, payload.nonce)
        charged = Balance(checked.fee + payload.tip)
        self._runtime.balances.charge_fee(state, payload.sender, charged)
        self._take_room(4 + len(checked.raw), checked.weight)
        self._events.origin = len(self._receipts)
        error = self._dispatch(checked)
        refusal = "" if error is None else _shorten(error.sentence, REFUSAL_BYTES_MAX)
        self._ctx.deposit(ExtrinsicApplied(payload.sender, payload.nonce, charged, error is None, refusal))
        self._events.origin = NO_EXTRINSIC
        text = "" if error is None else _shorten(str(error), RECEIPT_TEXT_BYTES_MAX)
        self._receipts.append(Receipt(checked.digest, error is None, text, charged, checked.weight))
        self._fees += checked.fee
        self._tips += payload.tip

    def finalize(self) -> BlockOutcome:
        """Share the fees, run every pallet's last hook, and sum up."""
        self._runtime.balances.share_fees(self._ctx, Balance(self._fees), Balance(self._tips))
        for pallet in self._runtime.pallets:
            pallet.on_finalize(self._ctx)
        events = tuple(self._events.entries)
        return BlockOutcome(events, tuple(self._receipts), compute_events_root(events), self._weight)

    def attempt(self, step: Callable[[T], None], subject: T) -> bool:
        """Run a step in a transaction of its own; False if no block here may hold it, and nothing happened.

        That includes a step that breaks an invariant: it must not stop a leader. Raises `BlockFull`.
        """
        mark = self._events.mark()
        used = self._bytes, self._weight
        try:
            with self._ctx.state.transaction():
                step(subject)
        except BlockFull:
            raise
        except (InvalidInput, Refused, InvariantBroken):
            self._events.rollback(mark)
            self._events.origin = NO_EXTRINSIC
            self._bytes, self._weight = used
            return False
        return True

    def _dispatch(self, checked: CheckedExtrinsic) -> InvalidInput | Refused | None:
        """Run the call in a transaction. Returns why it failed, if it did. A broken invariant is no failed call."""
        ctx = CallContext(self._ctx.state, self._ctx.block, self._events, checked.payload.sender)
        mark = self._events.mark()
        try:
            with ctx.state.transaction():
                checked.call.handler(ctx, checked.arguments)
        except (Refused, InvalidInput) as error:
            self._events.rollback(mark)
            return error
        return None

    def _take_room(self, size_bytes: int, weight: int) -> None:
        limits = self._runtime.config.blocks
        if self._bytes + size_bytes > limits.max_bytes or self._weight + weight > limits.max_weight:
            raise BlockFull("the block has no room", bytes=self._bytes, weight=self._weight)
        self._bytes += size_bytes
        self._weight += weight


def _shorten(text: str, most_bytes: int) -> str:
    return text.encode("utf-8")[:most_bytes].decode("utf-8", errors="ignore")
