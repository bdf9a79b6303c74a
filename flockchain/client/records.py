"""What the SDK answers with: frozen records with the chain's own types, made from the services' messages.

Knows the messages of `flockchain.v1`; knows nothing of how they travel. Canonical bytes are decoded here, so a record
cannot disagree with what is hashed and signed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

from flockchain.client.errors import BrokenAnswer
from flockchain.crypto.hashing import (
    compute_block_hash,
    compute_extrinsics_root,
    compute_inherents_root,
    compute_learning_root,
)
from flockchain.primitives.block import BLOCK, Block, Header
from flockchain.primitives.learning import (
    AGGREGATE_CERTIFICATE,
    AggregateCertificate,
    Phase,
    ReasonCode,
    UpdateRecord,
    Verdict,
)
from flockchain.primitives.numbers import (
    AccountId,
    Balance,
    Epoch,
    Hash,
    Height,
    MicroNats,
    Nonce,
    Round,
    Score,
    TaskId,
    TimestampMs,
    View,
)  # fmt: skip
from flockchain.primitives.rounds import LINEAGE_ENTRY, LineageEntry
from flockchain.primitives.vote import CERTIFICATE, Certificate
from flockchain.v1 import (
    chain_pb2,
    events_pb2,
    extrinsics_pb2,
    models_pb2,
    rounds_pb2,
    updates_pb2,
)  # fmt: skip

__all__ = [
    "AccountRecord", "BlockRecord", "Event", "ExtrinsicRecord", "FinalizedBlock", "LineageRecord", "RoundChanged",
    "StatusRecord", "UpdateState", "read_amount",
]  # fmt: skip

E = TypeVar("E", bound=IntEnum)
_AMOUNT_DIGITS_MAX = 39  # of an unsigned 128-bit integer


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """Where a node is."""

    height: Height
    finalized_hash: Hash
    view: View
    epoch: Epoch
    peers: int
    is_syncing: bool
    genesis_hash: Hash
    chain_name: str
    spec_version: int
    node_version: str
    timestamp_ms: TimestampMs
    state_root: Hash
    pending_extrinsics: int
    signing: str  # whether it uses its validator key, or why not

    @classmethod
    def from_message(cls, message: chain_pb2.GetStatusResponse) -> StatusRecord:
        return cls(
            Height(message.height), Hash(message.finalized_hash), View(message.view), Epoch(message.epoch),
            message.peers, message.syncing, Hash(message.genesis_hash), message.chain_name, message.spec_version,
            message.node_version, TimestampMs(message.timestamp_ms), Hash(message.state_root),
            message.pending_extrinsics,
            message.signing,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A finalized block, and its certificate where it has one of its own."""

    block: Block
    block_hash: Hash
    certificate: Certificate | None

    @property
    def header(self) -> Header:
        return self.block.header

    @classmethod
    def from_message(cls, message: chain_pb2.GetBlockResponse) -> BlockRecord:
        block = BLOCK.decode(message.block_bytes_canonical)
        block_hash = compute_block_hash(block.header)
        if block_hash != message.block_hash:
            raise BrokenAnswer("a block does not have the hash it came with", named=message.block_hash, is_=block_hash)
        if not _has_own_body(block):
            raise BrokenAnswer("a block has another body than its header commits to", block=block_hash)
        raw = message.certificate_bytes_canonical
        return cls(block, block_hash, CERTIFICATE.decode(raw) if raw else None)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the runtime, by name. `fields` are JSON values: bytes as hex."""

    pallet: str
    name: str
    fields: dict[str, Any]
    extrinsic_index: int | None
    data: bytes  # the canonical encoding of the fields

    @classmethod
    def from_message(cls, message: extrinsics_pb2.RuntimeEvent) -> Event:
        index = message.extrinsic_index if message.HasField("extrinsic_index") else None
        return cls(message.pallet, message.event, _read_fields(message.fields_json), index, message.data)


@dataclass(frozen=True, slots=True)
class ExtrinsicRecord:
    """Where an extrinsic is; the fields after `is_included` say something only when it is."""

    extrinsic_hash: Hash
    is_included: bool
    height: Height
    index: int
    block_hash: Hash
    has_succeeded: bool
    refusal: str
    fee: Balance
    events: tuple[Event, ...]

    @classmethod
    def from_message(cls, extrinsic_hash: Hash, message: extrinsics_pb2.GetExtrinsicResponse) -> ExtrinsicRecord:
        return cls(
            extrinsic_hash, message.status == extrinsics_pb2.EXTRINSIC_STATUS_INCLUDED, Height(message.height),
            message.index, Hash(message.block_hash), message.succeeded, message.refusal,
            Balance(read_amount(message.fee)), tuple(Event.from_message(event) for event in message.events),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account as the node sees it."""

    account: AccountId
    nonce: Nonce  # executed in finalized blocks
    next_nonce: Nonce  # the one to use next
    balance: Balance


@dataclass(frozen=True, slots=True)
class UpdateState:
    """What became of an update so far. `verdict` is None before the tally and in a void round."""

    task: TaskId
    round: Round
    index: int
    update: UpdateRecord
    phase: Phase
    verdict: Verdict | None

    @property
    def is_accepted(self) -> bool:
        return self.verdict is not None and self.verdict.reason is ReasonCode.ACCEPTED

    @property
    def has_ended(self) -> bool:
        """Whether its round is over, advanced or void."""
        return self.phase in (Phase.ADVANCED, Phase.VOID)

    @classmethod
    def from_message(cls, task: TaskId, message: updates_pb2.FindUpdateResponse) -> UpdateState:
        verdict = _build_verdict(message.verdict) if message.HasField("verdict") else None
        return cls(
            task, Round(message.round), message.index, _build_update(message.update),
            _get_member(Phase, message.phase), verdict,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LineageRecord:
    """One certified step of a model, with what proves it. Not verified here."""

    entry: LineageEntry
    state_key: bytes  # where the chain keeps the entry, for a proof
    certificate: AggregateCertificate

    @classmethod
    def from_message(cls, message: models_pb2.LineageEntry) -> LineageRecord:
        return cls(
            LINEAGE_ENTRY.decode(message.entry_bytes_canonical), message.state_key,
            AGGREGATE_CERTIFICATE.decode(message.certificate_bytes_canonical),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FinalizedBlock:
    """A block was finalized."""

    height: Height
    block_hash: Hash
    epoch: Epoch
    view: View
    timestamp_ms: TimestampMs
    proposer: AccountId
    state_root: Hash
    extrinsic_hashes: tuple[Hash, ...]
    learning_items: int
    events: tuple[Event, ...]

    @classmethod
    def from_message(cls, message: events_pb2.FinalizedBlock) -> FinalizedBlock:
        return cls(
            Height(message.height), Hash(message.block_hash), Epoch(message.epoch), View(message.view),
            TimestampMs(message.timestamp_ms), AccountId(message.proposer), Hash(message.state_root),
            tuple(Hash(item) for item in message.extrinsic_hashes), message.learning_items,
            tuple(Event.from_message(event) for event in message.events),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RoundChanged:
    """A round was opened or entered another phase, in the block just before this in the stream."""

    task: TaskId
    round: Round
    phase: Phase
    height: Height

    @classmethod
    def from_message(cls, message: events_pb2.RoundChanged) -> RoundChanged:
        phase = _get_member(Phase, message.phase)
        return cls(TaskId(message.task), Round(message.round), phase, Height(message.height))


def _has_own_body(block: Block) -> bool:
    header = block.header
    return (header.inherents_root, header.learning_root, header.extrinsics_root) == (
        compute_inherents_root(block.reveal, block.evidence), compute_learning_root(block.learning),
        compute_extrinsics_root(block.extrinsics),
    )  # fmt: skip


def read_amount(text: str) -> int:
    """An amount in base units as decimal text; none is zero. Raises `BrokenAnswer`."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= _AMOUNT_DIGITS_MAX):
        raise BrokenAnswer("an amount is no decimal number", got=text[:40])
    return int(text)


def _read_fields(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise BrokenAnswer("an event's fields are not JSON", got=text[:40]) from error
    if not isinstance(fields, dict):
        raise BrokenAnswer("an event's fields are no object", got=text[:40])
    return fields


def _build_update(message: rounds_pb2.Update) -> UpdateRecord:
    return UpdateRecord(
        AccountId(message.trainer), Hash(message.blob), message.size_bytes, Hash(message.digest),
        Balance(read_amount(message.bond)),
    )  # fmt: skip


def _build_verdict(message: rounds_pb2.Verdict) -> Verdict:
    return Verdict(
        AccountId(message.trainer), Hash(message.blob), Score(message.median_score), MicroNats(message.reputation),
        _get_member(ReasonCode, message.reason),
    )  # fmt: skip


def _get_member(enum: type[E], number: int) -> E:
    """The chain's member behind a message's number, which is one more (0 means "not given")."""
    try:
        return enum(number - 1)
    except ValueError:
        raise BrokenAnswer("a member that this client does not know", enumeration=enum.__name__, got=number) from None
