"""The chain at rest: finalized blocks, their certificates, receipts and indexes, the flat state and its undo.

One atomic, synced batch a finalization, so after any crash the archive stands at some finalized block and
nothing is half there. Only finalized blocks come here: nothing is ever rolled back. Knows encodings and
keys; does not know how a block is executed or decided.

    g            genesis hash                 h            the head
    b + height   block                        n + hash     height
    c + height   certificate                  r + height   receipts, as the runtime encodes them
    s + key      state value                  u + height   undo: what the block's changes replaced
    x + hash     (height, index) of an extrinsic
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flockchain.crypto.hashing import compute_block_hash, compute_extrinsic_hash
from flockchain.primitives.block import BLOCK, Block, Header
from flockchain.primitives.codec import HASH, U32, U64, ListOf, OptionOf, VarBytes, struct
from flockchain.primitives.errors import Fault, invariant
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_ROOTS_KEPT, STATE_VALUE_BYTES_MAX
from flockchain.primitives.numbers import Epoch, Hash, Height, TimestampMs, View
from flockchain.primitives.vote import CERTIFICATE, Certificate
from flockchain.storage.flat_state import STATE_PREFIX, FlatState
from flockchain.storage.store import Store

__all__ = ["HEAD", "Archive", "BlockCommit", "ForeignChain", "Head", "StatePruned"]

_GENESIS: Final = b"g"
_HEAD_KEY: Final = b"h"
_BLOCK: Final = b"b"
_HEIGHT: Final = b"n"
_CERTIFICATE: Final = b"c"
_RECEIPTS: Final = b"r"
_UNDO: Final = b"u"
_EXTRINSIC: Final = b"x"
_UNDO_ENTRIES_MAX: Final = 2**24


class ForeignChain(Fault):
    """The data folder holds another chain."""


class StatePruned(Fault):
    """The undo records back to that height are gone."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last finalized block on disk."""

    height: Height
    block_hash: Hash
    epoch: Epoch
    view: View
    state_root: Hash
    timestamp_ms: TimestampMs


@dataclass(frozen=True, slots=True)
class BlockCommit:
    """A finalized block as it goes to disk: with its own state changes and its encoded receipts."""

    block_hash: Hash
    block: Block
    changes: Mapping[bytes, bytes | None]
    receipts: bytes


@dataclass(frozen=True, slots=True)
class _Undo:
    key: bytes
    before: bytes | None


@dataclass(frozen=True, slots=True)
class _Place:
    height: Height
    index: int


HEAD = struct(Head, height=U64, block_hash=HASH, epoch=U64, view=U64, state_root=HASH, timestamp_ms=U64)
_UNDO_RECORD = ListOf(
    struct(_Undo, key=VarBytes(STATE_KEY_BYTES_MAX), before=OptionOf(VarBytes(STATE_VALUE_BYTES_MAX))),
    _UNDO_ENTRIES_MAX,
)
_PLACE = struct(_Place, height=U64, index=U32)

_Puts = dict[bytes, bytes | None]


class Archive:
    """A chain in a `Store`. One writer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._flat = FlatState(store)
        stored = store.get(_HEAD_KEY)
        self._head = None if stored is None else HEAD.decode(stored)

    @property
    def state(self) -> FlatState:
        """The flat state of the head, to read."""
        return self._flat

    def initialise(self, genesis_hash: Hash, genesis_block: Block, changes: Mapping[bytes, bytes | None]) -> None:
        """Put the genesis block and state into an empty store; the same genesis again changes nothing.

        Raises `ForeignChain` if the store holds a chain of another genesis.
        """
        present = self.get_genesis_hash()
        if present is not None:
            if present != genesis_hash:
                raise ForeignChain("the data folder holds another chain", stored=present, wanted=genesis_hash)
            return
        header = genesis_block.header
        invariant(header.height == 0, "a genesis block has height 0", height=header.height)
        head = _compute_head(header, compute_block_hash(header))
        puts = _compute_block_puts(head, genesis_block, None, b"")
        puts[_GENESIS] = genesis_hash
        self._write(head, puts, changes)

    def commit(self, blocks: Sequence[BlockCommit], certificate: Certificate) -> None:
        """Take the next finalized blocks, oldest first, durably and all at once; `certificate` finalizes the last.

        After a fault of the store nothing changed.
        """
        head = self._head
        invariant(head is not None and len(blocks) > 0, "blocks follow a genesis", blocks=len(blocks))
        invariant(certificate.block_hash == blocks[-1].block_hash, "the certificate is of another block")
        puts: _Puts = {}
        written: dict[bytes, bytes | None] = {}
        for entry in blocks:
            _require_follows(head, entry)
            head = _compute_head(entry.block.header, entry.block_hash)
            is_last = entry is blocks[-1]
            puts.update(_compute_block_puts(head, entry.block, certificate if is_last else None, entry.receipts))
            puts[_at(_UNDO, head.height)] = self._encode_undo(entry.changes, written)
            if head.height > STATE_ROOTS_KEPT:
                puts[_at(_UNDO, Height(head.height - STATE_ROOTS_KEPT))] = None
            written.update(entry.changes)
        if head is not None:
            self._write(head, puts, written)

    def get_head(self) -> Head | None:
        """The last finalized block, or None before `initialise`."""
        return self._head

    def get_genesis_hash(self) -> Hash | None:
        """Which chain this is, or None before `initialise`."""
        stored = self._store.get(_GENESIS)
        return None if stored is None else Hash(stored)

    def get_block(self, height: Height) -> Block | None:
        """The block at a height, or None."""
        stored = self._store.get(_at(_BLOCK, height))
        return None if stored is None else BLOCK.decode(stored)

    def get_block_by_hash(self, block_hash: Hash) -> Block | None:
        """The block with this hash, or None."""
        height = self.get_height(block_hash)
        return None if height is None else self.get_block(height)

    def get_height(self, block_hash: Hash) -> Height | None:
        """The height of the block with this hash, or None."""
        stored = self._store.get(_HEIGHT + block_hash)
        return None if stored is None else Height(U64.decode(stored))

    def get_certificate(self, height: Height) -> Certificate | None:
        """The certificate that came with the block, or None: then a later block's certificate covers it."""
        stored = self._store.get(_at(_CERTIFICATE, height))
        return None if stored is None else CERTIFICATE.decode(stored)

    def get_receipts(self, height: Height) -> bytes | None:
        """The receipts of a block as the runtime encoded them, or None."""
        return self._store.get(_at(_RECEIPTS, height))

    def find_extrinsic(self, extrinsic_hash: Hash) -> tuple[Height, int] | None:
        """Height and index of a finalized extrinsic, or None."""
        stored = self._store.get(_EXTRINSIC + extrinsic_hash)
        if stored is None:
            return None
        place = _PLACE.decode(stored)
        return place.height, place.index

    def get_value_at(self, height: Height, key: bytes) -> bytes | None:
        """What stood under a state key after block `height`, one of the last STATE_ROOTS_KEPT or the head."""
        head = self._head
        if head is None or height > head.height:
            raise StatePruned("there is no state of that height", height=height, head=head)
        for later in range(height + 1, head.height + 1):
            stored = self._store.get(_at(_UNDO, Height(later)))
            if stored is None:
                raise StatePruned("the state of that height is pruned", height=height, head=head.height)
            for undo in _UNDO_RECORD.decode(stored):
                if undo.key == key:
                    return undo.before
        return self._flat.get(key)

    def iterate_state(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry of the flat state, ascending: what the state tree is built from at start."""
        return self._flat.scan(b"")

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _encode_undo(self, changes: Mapping[bytes, bytes | None], written: Mapping[bytes, bytes | None]) -> bytes:
        """What `changes` replace, where `written` goes into the same batch before them."""
        get = self._flat.get
        before = (_Undo(key, written[key] if key in written else get(key)) for key in sorted(changes))
        return _UNDO_RECORD.encode(tuple(before))

    def _write(self, head: Head, puts: _Puts, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            invariant(value is None or len(value) > 0, "an empty value does not exist in state", key=key)
            puts[STATE_PREFIX + key] = value
        self._store.write(puts, sync=True)
        self._head = head
        self._flat.on_written(changes)


def _require_follows(head: Head | None, entry: BlockCommit) -> None:
    header = entry.block.header
    height = head.height if head is not None else None
    invariant(head is not None and header.height == head.height + 1, "not the next block", head=height)
    invariant(head is not None and header.parent == head.block_hash, "not a child of the head", parent=header.parent)
    invariant(compute_block_hash(header) == entry.block_hash, "the hash is not this block's", height=header.height)


def _at(kind: bytes, height: Height) -> bytes:
    return kind + U64.encode(height)


def _compute_head(header: Header, block_hash: Hash) -> Head:
    return Head(header.height, block_hash, header.epoch, header.view, header.state_root, header.timestamp_ms)


def _compute_block_puts(head: Head, block: Block, certificate: Certificate | None, receipts: bytes) -> _Puts:
    puts: _Puts = {
        _HEAD_KEY: HEAD.encode(head),
        _at(_BLOCK, head.height): BLOCK.encode(block),
        _HEIGHT + head.block_hash: U64.encode(head.height),
        _at(_RECEIPTS, head.height): receipts,
    }
    if certificate is not None:
        puts[_at(_CERTIFICATE, head.height)] = CERTIFICATE.encode(certificate)
    for index, extrinsic in enumerate(block.extrinsics):
        puts[_EXTRINSIC + compute_extrinsic_hash(extrinsic)] = _PLACE.encode(_Place(head.height, index))
    return puts
