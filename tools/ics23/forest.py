"""State trees from a seed: one of many keys with a history, and small ones of extreme shapes.

Knows which keys stand in a tree and which do not, in the order of their hashes; knows nothing of ICS23's messages.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from random import Random

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX
from flockchain.primitives.numbers import Hash
from flockchain.storage.proof import ExistenceProof, Proof, compute_path_bits
from flockchain.storage.tree import StateTree

__all__ = ["PLANTED", "PLANTED_KEY", "PLANTED_VALUE", "AbsentKey", "Forest", "Grown", "grow_forest"]

CANDIDATES = 8_000  # keys that are tried, to find one in each gap between leaves
DEEP_BITS = 20  # how much of their hashes three keys share, so that paths go through that many empty places
PLANTED = b"planted/"  # its value is what a leaf of PLANTED_KEY and PLANTED_VALUE would hash, to be passed off as one
PLANTED_KEY, PLANTED_VALUE = b"never set", b"never written"


class AbsentKey(InvalidInput):
    """A key stands nowhere in this tree."""


@dataclass(frozen=True)
class Grown:
    """One version of a state: its tree, its entries, and keys that are known not to be in it."""

    name: str
    tree: StateTree
    entries: Mapping[bytes, bytes]
    gone: tuple[bytes, ...] = ()

    @property
    def root(self) -> Hash:
        return self.tree.root

    @cached_property
    def order(self) -> list[bytes]:
        """The keys in the order of their hashes, which is that of the leaves."""
        return sorted(self.entries, key=compute_path_bits)

    @cached_property
    def gaps(self) -> dict[int, bytes]:
        """By how many leaves stand before it: a key that is not here. Narrow gaps may lack one."""
        places = [compute_path_bits(key) for key in self.order]
        found: dict[int, bytes] = {}
        for key in (*self.gone, *(b"absent/%d" % number for number in range(CANDIDATES))):
            if key not in self.entries:
                found.setdefault(bisect_left(places, compute_path_bits(key)), key)
        return found

    def prove(self, key: bytes) -> Proof:
        return self.tree.prove(key, self.entries.get)

    def prove_value(self, key: bytes) -> ExistenceProof:
        """The proof of a key that stands here."""
        proof = self.prove(key)
        if not isinstance(proof, ExistenceProof):
            raise AbsentKey("a key that does not stand in a tree has no value there", tree=self.name, key=key)
        return proof


@dataclass(frozen=True)
class Forest:
    """The trees of one seed: the big one, the same a version earlier, and the small ones."""

    chain: Grown
    earlier: Grown
    small: tuple[Grown, ...]
    largest: Grown


def grow_forest(seed: int, keys: int) -> Forest:
    """The trees of this seed; the big one holds `keys` keys and a few odd ones."""
    random = Random(seed)
    earlier, chain = _grow_chain(random, keys)
    near, between, far = _find_deep_keys(random)
    pair, gone = {near: b"near", far: b"far"}, (between,)
    across = next(key for key in (b"0", b"1", b"2", b"3", b"4", b"5") if _starts(key) != _starts(near))
    return Forest(
        chain,
        earlier,
        small=(
            _grow("one key", {b"only": b"1"}),
            _grow("two keys", {b"a": b"1", b"b": b"2"}),
            _grow("a deep pair alone", pair, gone),
            _grow("a deep pair and one across", {**pair, across: b"across"}, gone),
        ),
        largest=_grow("the largest", {b"k" * STATE_KEY_BYTES_MAX: bytes(STATE_VALUE_BYTES_MAX), b"small": b"1"}),
    )


def _grow_chain(random: Random, keys: int) -> tuple[Grown, Grown]:
    """A state that was built, then changed and cut, in batches, as blocks do: the version before, and the last."""
    first = {_draw_key(random, number): random.randbytes(random.randint(1, 96)) for number in range(keys * 5 // 4)}
    names = list(first)
    gone = tuple(random.sample(names, len(names) - keys))
    changed = {name: random.randbytes(40) for name in names[::3] if name not in gone}
    entries = {**first, **_list_odd_entries()}
    earlier = _grow("a version earlier", entries)
    tree = earlier.tree.apply({**dict.fromkeys(gone), **changed})
    last = {name: value for name, value in {**entries, **changed}.items() if name not in gone}
    return earlier, Grown("many keys", tree, last, gone)


def _draw_key(random: Random, number: int) -> bytes:
    """Half as the chain's own keys look, half any bytes."""
    if number % 2:
        return b"balances/free/" + random.randbytes(32)
    return random.randbytes(random.randint(8, 64))


def _list_odd_entries() -> dict[bytes, bytes]:
    """Keys and values at the edges of what a state may hold, and a value that is a leaf's preimage."""
    planted = b"\0" + sha256(PLANTED_KEY).digest() + sha256(PLANTED_VALUE).digest()
    return {
        b"\0": b"\0", b"\xff": b"\xff" * 32, b"a": b"1", b"ab": b"1", b"abc": b"1",
        bytes(32): bytes(32), sha256(b"a").digest(): sha256(b"1").digest(),
        bytes(STATE_KEY_BYTES_MAX): b"zeros", b"\xff" * STATE_KEY_BYTES_MAX: b"ones", b"long": bytes(range(256)) * 16,
        PLANTED: planted,
    }  # fmt: skip


def _find_deep_keys(random: Random) -> tuple[bytes, bytes, bytes]:
    """Three keys whose hashes begin with the same bits, from left to right."""
    together: dict[str, list[bytes]] = {}
    alike: list[bytes] = []
    while len(alike) < 3:
        key = random.randbytes(8)
        alike = together.setdefault(compute_path_bits(key)[:DEEP_BITS], [])
        alike.append(key)
    left, middle, right = sorted(alike, key=compute_path_bits)
    return left, middle, right


def _starts(key: bytes) -> str:
    return compute_path_bits(key)[0]


def _grow(name: str, entries: Mapping[bytes, bytes], gone: tuple[bytes, ...] = ()) -> Grown:
    return Grown(name, StateTree.build(entries.items()), entries, gone)
