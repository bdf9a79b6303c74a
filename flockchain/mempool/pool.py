"""Signed extrinsics that wait for a block.

Ordered by nonce within a sender and by tip between senders; among equal tips the earlier arrival goes first.
An extrinsic behind a gap of nonces waits. A higher tip replaces an extrinsic of the same nonce, and pushes
out the lowest tip when the pool is full (with the later nonces of that sender, which could not run without it).

Everything here was checked before: form, signature, chain. The pool does not know balances or what a call
does; whether an extrinsic is still good is decided again when a block is built.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from flockchain.primitives.errors import Refused, invariant
from flockchain.primitives.extrinsic import ExtrinsicPayload
from flockchain.primitives.limits import POOL_BYTES_MAX, POOL_EXTRINSICS_MAX, POOL_PER_SENDER_MAX
from flockchain.primitives.numbers import AccountId, Hash, Height, Nonce

__all__ = [
    "AlreadyPooled", "NonceTooFar", "Pool", "PoolFull", "PoolLimits", "PoolableExtrinsic", "SenderFull", "StaleNonce",
    "Underpriced",
]  # fmt: skip


class PoolableExtrinsic(Protocol):
    """What the pool needs of a checked extrinsic."""

    @property
    def digest(self) -> Hash: ...

    @property
    def raw(self) -> bytes: ...

    @property
    def payload(self) -> ExtrinsicPayload: ...


X = TypeVar("X", bound=PoolableExtrinsic)


class AlreadyPooled(Refused):
    """The same extrinsic waits already."""


class StaleNonce(Refused):
    """An extrinsic with this nonce was executed already."""


class NonceTooFar(Refused):
    """The nonce leaves a gap that the pool does not hold open."""


class SenderFull(Refused):
    """The sender has as many extrinsics waiting as it may have."""


class Underpriced(Refused):
    """Another extrinsic has this nonce, and the tip is not enough to replace it."""


class PoolFull(Refused):
    """The pool is full of extrinsics with at least this tip."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much may wait."""

    extrinsics_max: int = POOL_EXTRINSICS_MAX
    per_sender_max: int = POOL_PER_SENDER_MAX
    bytes_max: int = POOL_BYTES_MAX

    def __post_init__(self) -> None:
        invariant(min(self.extrinsics_max, self.per_sender_max, self.bytes_max) > 0, "must be positive", limits=self)


@dataclass(frozen=True, slots=True)
class _Entry(Generic[X]):
    extrinsic: X
    arrival: int

    @property
    def sender(self) -> AccountId:
        return self.extrinsic.payload.sender

    @property
    def nonce(self) -> int:
        return self.extrinsic.payload.nonce

    @property
    def tip(self) -> int:
        return self.extrinsic.payload.tip


class Pool(Generic[X]):
    """Bounded in number, in bytes and by sender. Refuses with a typed error and is then unchanged."""

    def __init__(self, limits: PoolLimits | None = None) -> None:
        self._limits = limits or PoolLimits()
        self._by_digest: dict[Hash, _Entry[X]] = {}
        self._by_sender: dict[AccountId, dict[int, _Entry[X]]] = {}
        self._cheapest: list[tuple[int, int, Hash]] = []  # (tip, -arrival, digest), with stale entries
        self._expiries: list[tuple[int, int, Hash]] = []  # (last height, arrival, digest), with stale entries
        self._size_bytes = 0
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._by_digest)

    def __contains__(self, digest: Hash) -> bool:
        return digest in self._by_digest

    def __iter__(self) -> Iterator[X]:
        """Every waiting extrinsic, in order of arrival."""
        return iter([entry.extrinsic for entry in sorted(self._by_digest.values(), key=lambda entry: entry.arrival)])

    @property
    def size_bytes(self) -> int:
        """The bytes of all waiting extrinsics."""
        return self._size_bytes

    def get(self, digest: Hash) -> X | None:
        """The waiting extrinsic with this digest."""
        entry = self._by_digest.get(digest)
        return None if entry is None else entry.extrinsic

    def get_pending_nonce(self, sender: AccountId, account_nonce: int) -> Nonce:
        """The first nonce from `account_nonce` on for which nothing of `sender` waits."""
        queue = self._by_sender.get(sender, {})
        nonce = account_nonce
        while nonce in queue:
            nonce += 1
        return Nonce(nonce)

    def add(self, extrinsic: X, account_nonce: int) -> None:
        """Let `extrinsic` wait; raises a `Refused`. `account_nonce` is the sender's in the finalized state."""
        payload, size = extrinsic.payload, len(extrinsic.raw)
        if extrinsic.digest in self._by_digest:
            raise AlreadyPooled("extrinsic waits already", digest=extrinsic.digest)
        if payload.nonce < account_nonce:
            raise StaleNonce("nonce was used already", nonce=payload.nonce, account_nonce=account_nonce)
        if payload.nonce >= account_nonce + self._limits.per_sender_max:
            raise NonceTooFar("nonce is too far ahead", nonce=payload.nonce, account_nonce=account_nonce)
        queue = self._by_sender.get(payload.sender, {})
        replaced = queue.get(payload.nonce)
        if replaced is not None:
            least = replaced.tip + max(1, replaced.tip // 10)
            if payload.tip < least:
                raise Underpriced("tip is too small to replace", nonce=payload.nonce, tip=payload.tip, least=least)
        elif len(queue) >= self._limits.per_sender_max:
            raise SenderFull("too many extrinsics of this sender wait", most=self._limits.per_sender_max)
        for victim in self._choose_victims(extrinsic, size, replaced):
            self._remove(victim)
        if replaced is not None:
            self._remove(replaced)
        self._insert(extrinsic, size)

    def take(self, height: Height, max_count: int, max_bytes: int, get_nonce: Callable[[AccountId], int]) -> list[X]:
        """What a block of `height` should carry, in order; nothing is removed.

        `get_nonce` reads the state that the block builds upon, which may be ahead of the finalized one.
        """
        heads: list[tuple[int, int, Hash]] = []
        for sender, queue in self._by_sender.items():
            self._push_head(heads, queue, get_nonce(sender), height)
        taken: list[X] = []
        left_bytes = max_bytes
        while heads and len(taken) < max_count:
            entry = self._by_digest[heapq.heappop(heads)[2]]
            size = len(entry.extrinsic.raw)
            if size > left_bytes:
                continue  # this sender waits for the next block; smaller ones may still fit
            left_bytes -= size
            taken.append(entry.extrinsic)
            self._push_head(heads, self._by_sender[entry.sender], entry.nonce + 1, height)
        return taken

    def has_ready(self, height: Height, get_nonce: Callable[[AccountId], int]) -> bool:
        """Whether `take` would find anything: cheap, as it stops at the first sender that is ready."""
        for sender, queue in self._by_sender.items():
            entry = queue.get(get_nonce(sender))
            if entry is not None and _is_alive_at(entry.extrinsic.payload, height):
                return True
        return False

    def on_finalized(self, included: Iterable[Hash], nonces: Mapping[AccountId, int]) -> None:
        """A block was finalized: it held `included`, and these senders' nonces are now these."""
        for digest in included:
            entry = self._by_digest.get(digest)
            if entry is not None:
                self._remove(entry)
        for sender, nonce in nonces.items():
            for entry in [entry for entry in self._by_sender.get(sender, {}).values() if entry.nonce < nonce]:
                self._remove(entry)

    def on_expired(self, height: Height) -> list[Hash]:
        """Drop what no block above `height` may carry; returns their digests."""
        dropped = []
        while self._expiries and self._expiries[0][0] <= height:
            digest = heapq.heappop(self._expiries)[2]
            entry = self._by_digest.get(digest)
            if entry is not None:
                self._remove(entry)
                dropped.append(digest)
        return dropped

    def discard(self, digest: Hash) -> None:
        """Drop an extrinsic that can never be included (its sender cannot pay, say)."""
        entry = self._by_digest.get(digest)
        if entry is not None:
            self._remove(entry)

    def _choose_victims(self, extrinsic: X, size: int, replaced: _Entry[X] | None) -> list[_Entry[X]]:
        """Whom to push out so that `extrinsic` fits; raises `PoolFull` and changes nothing if it may not."""
        count = len(self._by_digest) + 1 - (replaced is not None)
        size_bytes = self._size_bytes + size - (len(replaced.extrinsic.raw) if replaced is not None else 0)
        victims: list[_Entry[X]] = []
        popped: list[tuple[int, int, Hash]] = []
        chosen: set[Hash] = set()
        try:
            while count > self._limits.extrinsics_max or size_bytes > self._limits.bytes_max:
                victim = self._pop_cheapest(popped, chosen)
                if victim is None or victim.tip >= extrinsic.payload.tip or victim.sender == extrinsic.payload.sender:
                    raise PoolFull("pool is full", tip=extrinsic.payload.tip, waiting=len(self._by_digest))
                for entry in self._by_sender[victim.sender].values():
                    if entry.nonce >= victim.nonce and entry.extrinsic.digest not in chosen:
                        chosen.add(entry.extrinsic.digest)
                        victims.append(entry)
                        count -= 1
                        size_bytes -= len(entry.extrinsic.raw)
        finally:
            for item in popped:
                heapq.heappush(self._cheapest, item)
        return victims

    def _pop_cheapest(self, popped: list[tuple[int, int, Hash]], chosen: set[Hash]) -> _Entry[X] | None:
        while self._cheapest:
            item = heapq.heappop(self._cheapest)
            entry = self._by_digest.get(item[2])
            if entry is None:
                continue
            popped.append(item)
            if item[2] not in chosen:
                return entry
        return None

    def _push_head(
        self, heads: list[tuple[int, int, Hash]], queue: Mapping[int, _Entry[X]], nonce: int, height: Height
    ) -> None:
        entry = queue.get(nonce)
        if entry is not None and _is_alive_at(entry.extrinsic.payload, height):
            heapq.heappush(heads, (-entry.tip, entry.arrival, entry.extrinsic.digest))

    def _insert(self, extrinsic: X, size: int) -> None:
        self._arrivals += 1
        entry = _Entry(extrinsic, self._arrivals)
        payload = extrinsic.payload
        self._by_digest[extrinsic.digest] = entry
        self._by_sender.setdefault(payload.sender, {})[payload.nonce] = entry
        self._size_bytes += size
        heapq.heappush(self._cheapest, (payload.tip, -entry.arrival, extrinsic.digest))
        heapq.heappush(self._expiries, (payload.birth + payload.lifetime_blocks, entry.arrival, extrinsic.digest))
        self._compact()

    def _remove(self, entry: _Entry[X]) -> None:
        digest = entry.extrinsic.digest
        if self._by_digest.pop(digest, None) is None:
            return
        queue = self._by_sender[entry.sender]
        del queue[entry.nonce]
        if not queue:
            del self._by_sender[entry.sender]
        self._size_bytes -= len(entry.extrinsic.raw)

    def _compact(self) -> None:
        """Rebuild a heap that is mostly stale, so that it stays proportional to what waits."""
        most = 2 * len(self._by_digest) + 64
        if len(self._cheapest) > most:
            self._cheapest = [item for item in self._cheapest if item[2] in self._by_digest]
            heapq.heapify(self._cheapest)
        if len(self._expiries) > most:
            self._expiries = [item for item in self._expiries if item[2] in self._by_digest]
            heapq.heapify(self._expiries)


def _is_alive_at(payload: ExtrinsicPayload, height: Height) -> bool:
    return payload.birth < height <= payload.birth + payload.lifetime_blocks
