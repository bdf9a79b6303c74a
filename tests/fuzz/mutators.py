"""What can be done to valid bytes to make them invalid ones: seeded, so that every mutation can be made again.

Knows bytes only. Each mutator takes the bytes, other valid bytes of the same kind, and a random generator.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["MUTATORS", "Mutator", "build_mutation", "mutate"]

Mutator = Callable[[random.Random, bytearray, Sequence[bytes]], None]

_EDGES: Final = tuple(2**bits + by for bits in (0, 7, 8, 16, 31, 32, 63, 64) for by in (-1, 0))
_ROUNDS_MAX: Final = 3
_EXTENSION_BYTES_MAX: Final = 64


def build_mutation(seed: int, target: str, number: int, samples: Sequence[bytes]) -> bytes:
    """Mutation `number` of a target's samples: the same bytes each time, and none of the samples."""
    rng = random.Random(f"{seed}/{target}/{number}")
    return mutate(rng, samples)


def mutate(rng: random.Random, samples: Sequence[bytes]) -> bytes:
    """One of the samples after one to three mutations; never equal to a sample."""
    data = bytearray(rng.choice(samples))
    for _ in range(rng.randint(1, _ROUNDS_MAX)):
        rng.choice(MUTATORS)(rng, data, samples)
    while bytes(data) in samples:
        _flip_bit(rng, data, samples)
    return bytes(data)


def _flip_bit(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    if not data:
        data.append(rng.randrange(256))
        return
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _replace_byte(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _insert(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 8))


def _delete(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    del data[at : at + rng.randint(1, 8)]


def _truncate(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    del data[rng.randint(0, len(data)) :]


def _extend(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    data += rng.randbytes(rng.randint(1, _EXTENSION_BYTES_MAX))


def _splice(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """The head of one valid value and the tail of another, cut at the same place or anywhere."""
    other = rng.choice(samples)
    at = rng.randint(0, len(data))
    start = at if rng.random() < 0.5 else rng.randint(0, len(other))
    data[at:] = other[start:]


def _transplant(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """A segment of another valid value in the place of as many bytes."""
    other = rng.choice(samples)
    size = rng.choice((1, 4, 8, 32, 64, 96))
    start = rng.randint(0, max(0, len(other) - size))
    at = rng.randint(0, max(0, len(data) - size))
    segment = other[start : start + size]
    data[at : at + len(segment)] = segment


def _duplicate(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    start = rng.randint(0, len(data))
    segment = data[start : start + rng.choice((1, 4, 8, 32, 128, 1024))]
    at = rng.choice((start, len(data), rng.randint(0, len(data))))
    data[at:at] = segment


def _swap(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """Two segments of the same size change places."""
    size = rng.choice((1, 8, 32))
    if len(data) >= 2 * size:
        first, second = sorted(rng.sample(range(len(data) - size + 1), 2)) if len(data) > size else (0, 0)
        if second - first >= size:
            data[first : first + size], data[second : second + size] = (
                data[second : second + size],
                data[first : first + size],
            )


def _zero(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    at = rng.randint(0, len(data))
    size = len(data[at : at + rng.choice((1, 4, 32, 96))])
    data[at : at + size] = rng.choice((b"\x00", b"\xff")) * size


def _attack_length(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """An integer at the edge of something, in the place of 1, 2, 4 or 8 bytes, in either order of bytes."""
    width = rng.choice((1, 2, 4, 4, 4, 8))
    edge = rng.choice((*_EDGES, len(data), len(data) + 1, max(0, len(data) - 1), rng.getrandbits(8 * width)))
    at = rng.randint(0, max(0, len(data) - width))
    data[at : at + width] = (edge % (1 << 8 * width)).to_bytes(width, rng.choice(("big", "big", "little")))


def _count(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """One more or one less in the place of some byte, as counters and digits have it."""
    if data:
        at = rng.randrange(len(data))
        data[at] = (data[at] + rng.choice((-1, 1))) % 256


def _stretch_varint(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """A final byte of a varint becomes two: the same number, not minimal; or it never ends."""
    if data:
        at = rng.randrange(len(data))
        tail = b"\x00" if rng.random() < 0.7 else b"\x80" * rng.randint(1, 12)
        data[at : at + 1] = bytes([data[at] | 0x80]) + tail


def _nest(rng: random.Random, data: bytearray, samples: Sequence[bytes]) -> None:
    """Opening brackets of the text formats, deeply."""
    at = rng.randint(0, len(data))
    data[at:at] = rng.choice((b"[", b"{", b'{"a":', b"[[1],", b"(", b"9", b"0x9", b"a.", b'"\\ud800"')) * rng.choice(
        (1, 2, 40, 400, 4000)
    )


MUTATORS: Final[tuple[Mutator, ...]] = (
    _flip_bit, _flip_bit, _replace_byte, _insert, _delete, _truncate, _extend, _splice, _transplant, _duplicate, _swap,
    _zero, _attack_length, _attack_length, _count, _stretch_varint, _nest,
)  # fmt: skip
