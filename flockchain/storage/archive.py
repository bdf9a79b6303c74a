"""The chain at rest: finalized blocks, their certificates, receipts and indexes, the flat state and its undo.

One atomic, synced batch a finalization, so after any crash the archive stands at some finalized block and
nothing is half there. Only finalized blocks come here: nothing is ever rolled back. Knows encodings and
keys; does not know how a block is executed or decided.

    g            genesis hash                 h            the head
    b + height   block                        n + hash     height
    c + height   certificate                  r + height   receipts, as the runtime encodes them
    s + key      state value                  u + height   undo: what the block's changes replaced
    x + hash     (height, index) of an extrinsic
    j            the vote journal's mark as of the newest blocks
    v + epoch    validator set, for light clients: state forgets old ones, and pruning leaves these
    k + height   header of an epoch's last block, kept with its certificate when the block is not
    p            the first height after genesis whose block is here: those below were pruned, or never came
    i            the mark of `snapshot_install`: while it stands there is no chain here
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flockchain.crypto.hashing import compute_block_hash, compute_extrinsic_hash
from flockchain.primitives.block import BLOCK, HEADER, Block, Header
from flockchain.primitives.codec import HASH, U32, U64, ListOf, OptionOf, VarBytes, struct
from flockchain.primitives.errors import Fault, Refused, invariant
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_ROOTS_KEPT, STATE_VALUE_BYTES_MAX
from flockchain.primitives.numbers import Epoch, Hash, Height, TimestampMs, View
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.primitives.vote import CERTIFICATE, Certificate
from flockchain.storage.flat_state import STATE_PREFIX, FlatState
from flockchain.storage.journal_mark import JOURNAL_MARK, JournalMark
from flockchain.storage.store import FrozenStore, Store

__all__ = [
    "HEAD", "PRUNED_AT_ONCE", "Archive", "BlockCommit", "ForeignChain", "FrozenChain", "Head", "HeightPruned",
    "StatePruned", "compute_head",
]  # fmt: skip

_GENESIS: Final = b"g"
_HEAD_KEY: Final = b"h"
_BLOCK: Final = b"b"
_HEIGHT: Final = b"n"
_CERTIFICATE: Final = b"c"
_RECEIPTS: Final = b"r"
_UNDO: Final = b"u"
_EXTRINSIC: Final = b"x"
_HEADER: Final = b"k"
_FIRST_HEIGHT: Final = b"p"
_VALIDATORS: Final = b"v"
_JOURNAL_MARK: Final = b"j"
PRUNED_AT_ONCE: Final = 64  # heights in one batch
_UNDO_ENTRIES_MAX: Final = 2**24


class ForeignChain(Fault):
    """The data folder holds another chain."""


class StatePruned(Fault):
    """The undo records back to that height are gone."""


class HeightPruned(Refused):
    """The block of that height is not kept here."""

    hint = "ask an archive node: one with keep_blocks = 0"


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
    """A finalized block as it goes to disk: with its own state changes and its encoded receipts.

    `validator_sets` are the encoded sets of later epochs that the block fixed.
    """

    block_hash: Hash
    block: Block
    changes: Mapping[bytes, bytes | None]
    receipts: bytes
    validator_sets: Mapping[Epoch, bytes] = field(default_factory=dict)


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
        head = compute_head(header, compute_block_hash(header))
        puts = _compute_block_puts(head, genesis_block, None, b"")
        puts[_GENESIS] = genesis_hash
        self._write(head, puts, changes)

    def commit(
        self, blocks: Sequence[BlockCommit], certificate: Certificate, journal_mark: JournalMark | None = None
    ) -> None:
        """Take the next finalized blocks, oldest first, durably and all at once; `certificate` finalizes the last.

        `journal_mark` says how far the vote journal on disk has come; it goes into the same batch.
        After a fault of the store nothing changed.
        """
        head = self._head
        invariant(head is not None and len(blocks) > 0, "blocks follow a genesis", blocks=len(blocks))
        invariant(certificate.block_hash == blocks[-1].block_hash, "the certificate is of another block")
        puts: _Puts = {}
        written: dict[bytes, bytes | None] = {}
        for entry in blocks:
            _require_follows(head, entry)
            head = compute_head(entry.block.header, entry.block_hash)
            is_last = entry is blocks[-1]
            puts.update(_compute_block_puts(head, entry.block, certificate if is_last else None, entry.receipts))
            puts.update({_VALIDATORS + U64.encode(epoch): fixed for epoch, fixed in entry.validator_sets.items()})
            puts[_at(_UNDO, head.height)] = self._encode_undo(entry.changes, written)
            if head.height > STATE_ROOTS_KEPT:
                puts[_at(_UNDO, Height(head.height - STATE_ROOTS_KEPT))] = None
            written.update(entry.changes)
        if journal_mark is not None:
            puts[_JOURNAL_MARK] = JOURNAL_MARK.encode(journal_mark)
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

    def get_header(self, height: Height) -> Header | None:
        """The header at a height: of every block that is held, and of every epoch's last block."""
        stored = self._store.get(_at(_HEADER, height))
        if stored is not None:
            return HEADER.decode(stored)
        block = self.get_block(height)
        return None if block is None else block.header

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

    def get_validator_set(self, epoch: Epoch) -> ValidatorSet | None:
        """The validators of an epoch whose set was fixed by a block in here, or None."""
        stored = self._store.get(_VALIDATORS + U64.encode(epoch))
        return None if stored is None else VALIDATOR_SET.decode(stored)

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

    def get_journal_mark(self) -> JournalMark | None:
        """How far the vote journal had come when the newest blocks were written, or when it was begun; if told."""
        stored = self._store.get(_JOURNAL_MARK)
        return None if stored is None else JOURNAL_MARK.decode(stored)

    def put_journal_mark(self, mark: JournalMark) -> None:
        """Know the vote journal, durably, also before the first block."""
        self._store.write({_JOURNAL_MARK: JOURNAL_MARK.encode(mark)}, sync=True)

    def reload(self) -> None:
        """Somebody else wrote to the store: forget what was read from it."""
        stored = self._store.get(_HEAD_KEY)
        self._head = None if stored is None else HEAD.decode(stored)
        self._flat.forget()

    def get_first_height(self) -> Height:
        """The first height after genesis whose block is here, or would be next."""
        stored = self._store.get(_FIRST_HEIGHT)
        return Height(1) if stored is None else Height(U64.decode(stored))

    def require_height(self, height: Height) -> None:
        """Raises `HeightPruned` for a block that was here, or was skipped by a snapshot, and is not here any more."""
        first = self.get_first_height()
        if 0 < height < first:
            raise HeightPruned("the block of that height is not kept by this node", height=height, first=first)

    def put_epoch_ends(self, ends: Sequence[tuple[Header, Certificate, ValidatorSet]]) -> None:
        """Keep what shows epochs' last blocks final, for light clients; of blocks that need not ever come here."""
        puts: _Puts = {}
        for header, certificate, validators in ends:
            puts[_at(_HEADER, header.height)] = HEADER.encode(header)
            puts[_at(_CERTIFICATE, header.height)] = CERTIFICATE.encode(certificate)
            puts[_VALIDATORS + U64.encode(header.epoch)] = VALIDATOR_SET.encode(validators)
        self._store.write(puts, sync=True)

    def keep_validator_sets(self, sets: Mapping[Epoch, bytes]) -> None:
        """Keep the encoded sets of these epochs for when the state forgets them; those that are kept already stay."""
        puts: _Puts = {_VALIDATORS + U64.encode(epoch): encoded for epoch, encoded in sets.items()}
        missing = {key: encoded for key, encoded in puts.items() if self._store.get(key) is None}
        if missing:
            self._store.write(missing, sync=True)

    def prune(self, below: Height, most: int) -> int:
        """Drop bodies, receipts, certificates and indexes of heights below `below`, at most `most` heights at once.

        Of an epoch's last block the header and the certificate stay, and so do genesis, validator sets and the state.
        How many heights were dropped.
        """
        head = self._head
        invariant(head is not None and below <= head.height, "the head's block is never pruned", below=below)
        first = self.get_first_height()
        end = min(below, first + most)
        if end <= first:
            return 0
        puts: _Puts = {_FIRST_HEIGHT: U64.encode(end)}
        block = self.get_block(first)
        for number in range(first, end):
            following = self.get_block(Height(number + 1))
            if block is not None and following is not None:
                puts.update(_compute_pruned(block, is_epoch_end=following.header.epoch != block.header.epoch))
            block = following
        self._store.write(puts, sync=False)
        return end - first

    def freeze(self) -> FrozenChain:
        """The state of the head, for as long as it is wanted."""
        head = self._head
        invariant(head is not None, "there is a chain to freeze")
        return FrozenChain(head, self._store.freeze())  # type: ignore[arg-type]

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


class FrozenChain:
    """The flat state after one block, whatever is committed since (`storage.snapshot.FrozenState`)."""

    def __init__(self, head: Head, store: FrozenStore) -> None:
        self.head = head
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        return self._store.get(STATE_PREFIX + key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key[1:], value) for key, value in self._store.scan(STATE_PREFIX + prefix))

    def close(self) -> None:
        """Let go of it."""
        self._store.close()


def _require_follows(head: Head | None, entry: BlockCommit) -> None:
    header = entry.block.header
    height = head.height if head is not None else None
    invariant(head is not None and header.height == head.height + 1, "not the next block", head=height)
    invariant(head is not None and header.parent == head.block_hash, "not a child of the head", parent=header.parent)
    invariant(compute_block_hash(header) == entry.block_hash, "the hash is not this block's", height=header.height)


def _at(kind: bytes, height: Height) -> bytes:
    return kind + U64.encode(height)


def compute_head(header: Header, block_hash: Hash) -> Head:
    """The head at a block."""
    return Head(header.height, block_hash, header.epoch, header.view, header.state_root, header.timestamp_ms)


def _compute_pruned(block: Block, *, is_epoch_end: bool) -> _Puts:
    header = block.header
    puts: _Puts = {_at(kind, header.height): None for kind in (_BLOCK, _RECEIPTS, _UNDO)}
    puts[_HEIGHT + compute_block_hash(header)] = None
    puts.update({_EXTRINSIC + compute_extrinsic_hash(raw): None for raw in block.extrinsics})
    if is_epoch_end:
        puts[_at(_HEADER, header.height)] = HEADER.encode(header)
    else:
        puts[_at(_CERTIFICATE, header.height)] = None
    return puts


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
