"""What a node keeps of its peers across restarts: addresses at which it has met somebody, and bans.

    file = "FLOCKPRS" ‖ SHA-256(payload) ‖ payload, the payload in the chain's canonical encoding

Bounded, written whole or not at all, and refused unless it is exactly what was written. It only saves time: a file
that is refused is an empty one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from flockchain.gossip.messages import ADDRESS_BYTES_MAX
from flockchain.node.standing import Standing
from flockchain.primitives.codec import HASH, U32, U64, DecodeError, ListOf, Text, VarBytes, struct
from flockchain.primitives.limits import MET_ADDRESSES_MAX, STANDINGS_MAX
from flockchain.primitives.numbers import NodeId
from flockchain.primitives.sizes import compute_bytes_max
from flockchain.storage.disk import disk_faults, replace_file

__all__ = [
    "EMPTY_MEMORY", "KEY_BYTES_MAX", "MetAddress", "PeerMemory", "decode_peer_memory", "encode_peer_memory",
    "load_peer_memory", "save_peer_memory",
]  # fmt: skip

_MAGIC: Final = b"FLOCKPRS"
_HEAD_BYTES: Final = len(_MAGIC) + 32
KEY_BYTES_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class MetAddress:
    """Whom we met where, and when last (Unix milliseconds)."""

    address: str
    node_id: NodeId
    met_ms: int


@dataclass(frozen=True, slots=True)
class PeerMemory:
    """Addresses and standings, each by ascending key and each key once."""

    addresses: tuple[MetAddress, ...] = ()
    peers: tuple[Standing, ...] = ()
    hosts: tuple[Standing, ...] = ()


EMPTY_MEMORY: Final = PeerMemory()
_STANDING = struct(Standing, key=VarBytes(KEY_BYTES_MAX), points=U32, since_ms=U64, banned_until_ms=U64)
_MEMORY = struct(
    PeerMemory,
    addresses=ListOf(struct(MetAddress, address=Text(ADDRESS_BYTES_MAX), node_id=HASH, met_ms=U64), MET_ADDRESSES_MAX),
    peers=ListOf(_STANDING, STANDINGS_MAX), hosts=ListOf(_STANDING, STANDINGS_MAX),
)  # fmt: skip
_FILE_BYTES_MAX: Final = _HEAD_BYTES + compute_bytes_max(_MEMORY)


def encode_peer_memory(memory: PeerMemory) -> bytes:
    """The file's bytes."""
    payload = _MEMORY.encode(memory)
    return _MAGIC + sha256(payload).digest() + payload


def decode_peer_memory(data: bytes) -> PeerMemory:
    """What is in the file's bytes; raises `DecodeError` for anything that `encode_peer_memory` does not write."""
    if len(data) > _FILE_BYTES_MAX:
        raise DecodeError("file of peers is too long", most=_FILE_BYTES_MAX, got=len(data))
    payload = data[_HEAD_BYTES:]
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : _HEAD_BYTES] != sha256(payload).digest():
        raise DecodeError("file of peers is damaged", bytes=len(data))
    memory: PeerMemory = _MEMORY.decode(payload)
    _require_ascending([met.address.encode() for met in memory.addresses])
    _require_ascending([record.key for record in memory.peers])
    _require_ascending([record.key for record in memory.hosts])
    return memory


def load_peer_memory(path: Path, on_refused: Callable[[str], Any]) -> PeerMemory:
    """What the file holds; nothing when there is none, or it is refused: `on_refused` hears why. Raises disk faults."""
    with disk_faults(path):
        if not path.exists():
            return EMPTY_MEMORY
        with path.open("rb") as source:
            data = source.read(_FILE_BYTES_MAX + 1)
    try:
        return decode_peer_memory(data)
    except DecodeError as error:
        on_refused(str(error))
        return EMPTY_MEMORY


def save_peer_memory(path: Path, memory: PeerMemory) -> None:
    """Replace the file; the old one stays if this fails. Raises disk faults."""
    replace_file(path, encode_peer_memory(memory))


def _require_ascending(keys: list[bytes]) -> None:
    if any(before >= after for before, after in pairwise(keys)):
        raise DecodeError("file of peers is out of order", entries=len(keys))
