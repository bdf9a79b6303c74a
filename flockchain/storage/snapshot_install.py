"""Puts a fetched snapshot into the store in place of what is there, in bounded batches.

A mark goes first and is taken away last, in the batch that sets the head. So after a crash the store either has a
chain or has the mark, and with the mark the installation begins again from the chunks on the shelf. Every batch is
synced: so many bytes do not go into one log, and a log that is full is not synced with the next. Every chunk is proven
once more on the way: what was fetched may have been damaged since.

Knows keys of the archive. Does not know peers, nor why a header is trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.block import BLOCK, Block
from flockchain.primitives.codec import HASH, U64, struct
from flockchain.primitives.errors import InvalidInput, invariant
from flockchain.primitives.limits import MIB
from flockchain.primitives.numbers import Hash
from flockchain.primitives.vote import CERTIFICATE, Certificate
from flockchain.storage.archive import HEAD, Archive, compute_head
from flockchain.storage.flat_state import STATE_PREFIX
from flockchain.storage.snapshot import SNAPSHOT_INFO, SnapshotInfo, decode_chunk, verify_chunk
from flockchain.storage.snapshot_shelf import SnapshotShelf
from flockchain.storage.store import Store

__all__ = ["InstallPlan", "install_snapshot", "resume_install"]

_MARK: Final = b"i"
_BATCH_BYTES: Final = 4 * MIB
_HEIGHTS_PER_BATCH: Final = 256
_ENTRY_BYTES: Final = 64  # what an entry costs beside its key and value, about
_REPLACED: Final = (b"h", b"s", b"u", b"b", b"n", b"r", b"x", b"p")  # all but epochs' ends; see `archive`


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Everything that a chain at the snapshot's height is made of, but for the chunks."""

    genesis_hash: Hash
    genesis_block: Block
    info: SnapshotInfo
    block: Block
    certificate: Certificate


_PLAN = struct(
    InstallPlan, genesis_hash=HASH, genesis_block=BLOCK, info=SNAPSHOT_INFO, block=BLOCK, certificate=CERTIFICATE
)  # fmt: skip


def install_snapshot(store: Store, shelf: SnapshotShelf, plan: InstallPlan) -> bool:
    """Install, and drop the snapshot from the shelf. False if chunks are missing or damaged: those are gone now.

    Nobody reads the store meanwhile; afterwards it is opened anew.
    """
    invariant(compute_block_hash(plan.block.header) == plan.info.block_hash, "the block is the snapshot's")
    damaged = [index for index in range(plan.info.chunk_count) if not _is_true(shelf, plan.info, index)]
    for index in damaged:
        shelf.drop_chunk(plan.info, index)
    if damaged:
        return False
    _fold_old_chain(Archive(store))
    store.write({_MARK: _PLAN.encode(plan)}, sync=True)
    _write_state(store, shelf, plan)
    return True


def resume_install(store: Store, shelf: SnapshotShelf) -> None:
    """At start, before the archive is opened: finish an installation that a crash interrupted.

    If its chunks are not all there any more, the store is emptied: the node begins at genesis, and joins anew.
    """
    marked = store.get(_MARK)
    if marked is None:
        return
    plan: InstallPlan = _PLAN.decode(marked)
    if install_snapshot(store, shelf, plan):
        return
    _clear(store)
    store.write({b"g": None, _MARK: None}, sync=True)


def _fold_old_chain(archive: Archive) -> None:
    """Of the chain that is replaced, keep what shows its epochs' last blocks final."""
    head = archive.get_head()
    if head is None or head.height == 0:
        return
    while archive.prune(head.height, _HEIGHTS_PER_BATCH):
        pass
    header, certificate = archive.get_header(head.height), archive.get_certificate(head.height)
    validators = archive.get_validator_set(head.epoch)
    if header is not None and certificate is not None and validators is not None:
        archive.put_epoch_ends([(header, certificate, validators)])


def _write_state(store: Store, shelf: SnapshotShelf, plan: InstallPlan) -> None:
    _clear(store)
    for index in range(plan.info.chunk_count):
        for batch in _split(_load(shelf, plan.info, index)):
            store.write(batch, sync=True)
    head = compute_head(plan.block.header, plan.info.block_hash)
    at, genesis_at = U64.encode(plan.info.height), U64.encode(0)
    store.write(
        {
            b"g": plan.genesis_hash, b"h": HEAD.encode(head), b"b" + at: BLOCK.encode(plan.block),
            b"n" + plan.info.block_hash: at, b"c" + at: CERTIFICATE.encode(plan.certificate), b"r" + at: b"",
            b"b" + genesis_at: BLOCK.encode(plan.genesis_block), b"r" + genesis_at: b"",
            b"n" + compute_block_hash(plan.genesis_block.header): genesis_at, b"p": at, _MARK: None,
        },
        sync=True,
    )  # fmt: skip
    shelf.drop(plan.info)


def _is_true(shelf: SnapshotShelf, info: SnapshotInfo, index: int) -> bool:
    """Whether a chunk is there and proves itself."""
    data = shelf.get_chunk(info.height, index)
    if data is None:
        return False
    try:
        return verify_chunk(info.state_root, info.depth, index, decode_chunk(data))
    except InvalidInput:
        return False


def _load(shelf: SnapshotShelf, info: SnapshotInfo, index: int) -> Iterator[tuple[bytes, bytes | None]]:
    """What a proven chunk puts into the store."""
    data = shelf.get_chunk(info.height, index)
    invariant(data is not None, "a chunk that was there is still there", index=index)
    return ((STATE_PREFIX + entry.key, entry.value) for entry in decode_chunk(data or b"").entries)


def _clear(store: Store) -> None:
    """Delete the chain that is there."""
    for prefix in _REPLACED:
        for batch in _split((key, None) for key, _ in store.scan(prefix)):
            store.write(batch, sync=True)


def _split(puts: Iterator[tuple[bytes, bytes | None]]) -> Iterator[dict[bytes, bytes | None]]:
    """Batches of bounded size."""
    batch: dict[bytes, bytes | None] = {}
    size_bytes = 0
    for key, value in puts:
        batch[key] = value
        size_bytes += len(key) + len(value or b"") + _ENTRY_BYTES
        if size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = {}, 0
    if batch:
        yield batch
