"""Transfers at a steady rate into a running network, and when each of them became final.

Open loop: the next batch is due by the clock, whether or not the network keeps up; so a slow network shows in the
latencies and not in a lower rate. Signing happens before the clock starts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from flockchain.client import Account, AsyncClient, CallRequest, FinalizedBlock, StatusRecord, build_extrinsic
from flockchain.client.metadata import Metadata
from flockchain.crypto.hashing import compute_extrinsic_hash
from flockchain.primitives.numbers import Nonce

__all__ = ["BlockHeard", "Load", "LoadResult", "Sender", "build_load", "run_load"]

_SETTLE_S = 0.3  # until the subscriptions stand
_DRAIN_S = 20.0
_LIFETIME_BLOCKS = 1024


@dataclass(slots=True)
class Sender:
    """One account, the node that it submits to, and its next nonce."""

    account: Account
    node: int
    nonce: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """Signed transfers by tick and node: what is due at each moment."""

    tick_s: float
    ticks: tuple[tuple[tuple[bytes, ...], ...], ...]

    @property
    def count(self) -> int:
        return sum(len(batch) for tick in self.ticks for batch in tick)


@dataclass(frozen=True, slots=True)
class BlockHeard:
    """A finalized block, and how long after its timestamp the client heard of it."""

    epoch: int
    view: int
    transfers: int
    finality_ms: float


@dataclass(slots=True)
class LoadResult:
    """When each transfer was submitted and heard to be final, in seconds of one clock; the first node's blocks."""

    submitted_s: dict[bytes, float] = field(default_factory=dict)
    final_s: dict[bytes, float] = field(default_factory=dict)
    blocks: dict[int, BlockHeard] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    @property
    def latencies_ms(self) -> list[float]:
        return [(at - self.submitted_s[digest]) * 1000 for digest, at in self.final_s.items()]

    @property
    def span_s(self) -> float:
        """From the first submission to the last finality."""
        return max(self.final_s.values(), default=0.0) - min(self.submitted_s.values(), default=0.0)


def build_load(
    senders: Sequence[Sender], nodes: int, status: StatusRecord, metadata: Metadata, *, per_s: int, seconds: float,
    tick_s: float,
) -> Load:  # fmt: skip
    """Sign `per_s` transfers for each of `seconds`; senders take turns, each pays the next one."""
    ticks = []
    sent = 0
    for tick in range(round(seconds / tick_s)):
        due = round((tick + 1) * tick_s * per_s)
        batches: list[list[bytes]] = [[] for _ in range(nodes)]
        for at in range(sent, due):
            sender, target = senders[at % len(senders)], senders[(at + 1) % len(senders)]
            call = metadata.encode_call(
                CallRequest("balances.transfer", {"target": target.account.account, "amount": 1_000 + at})
            )
            batches[sender.node].append(
                build_extrinsic(
                    call, account=sender.account, status=status, nonce=Nonce(sender.nonce),
                    lifetime_blocks=_LIFETIME_BLOCKS,
                )
            )  # fmt: skip
            sender.nonce += 1
        sent = due
        ticks.append(tuple(tuple(batch) for batch in batches))
    return Load(tick_s, tuple(ticks))


async def run_load(clients: Sequence[AsyncClient], load: Load) -> LoadResult:
    """Submit everything when it is due and wait until it is final on the node that it was submitted to."""
    result = LoadResult()
    waiting: list[set[bytes]] = [set() for _ in clients]
    is_over = asyncio.Event()
    followers = [
        asyncio.create_task(_follow(client, result, mine, is_over, is_first=client is clients[0]))
        for client, mine in zip(clients, waiting, strict=True)
    ]
    await asyncio.sleep(_SETTLE_S)
    sends: list[asyncio.Task[None]] = []
    begun = time.monotonic()
    for number, tick in enumerate(load.ticks):
        await asyncio.sleep(max(0.0, begun + number * load.tick_s - time.monotonic()))
        for client, batch, mine in zip(clients, tick, waiting, strict=True):
            if batch:
                sends.append(asyncio.create_task(_submit(client, batch, result, mine)))
    await asyncio.gather(*sends)
    is_over.set()
    await asyncio.wait(followers, timeout=_DRAIN_S)
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    return result


async def _submit(client: AsyncClient, batch: Sequence[bytes], result: LoadResult, mine: set[bytes]) -> None:
    digests = [compute_extrinsic_hash(raw) for raw in batch]
    now = time.monotonic()
    result.submitted_s.update((digest, now) for digest in digests)
    mine.update(digests)
    outcomes = await client.extrinsics.submit_batch(batch)
    for digest, outcome in zip(digests, outcomes, strict=True):
        if outcome.extrinsic_hash is None:
            result.refusals.append(outcome.refusal)
            mine.discard(digest)


async def _follow(
    client: AsyncClient, result: LoadResult, mine: set[bytes], is_over: asyncio.Event, *, is_first: bool
) -> None:
    """Note what one node says is final, until all is submitted and nothing of it is missing any more."""
    async for item in client.events.subscribe(without_runtime_events=True):
        if not isinstance(item, FinalizedBlock):
            continue
        now, clock_ms = time.monotonic(), time.time_ns() // 1_000_000
        if is_first:
            heard = BlockHeard(item.epoch, item.view, len(item.extrinsic_hashes), clock_ms - item.timestamp_ms)
            result.blocks[item.height] = heard
        for digest in item.extrinsic_hashes:
            if digest in mine:
                mine.discard(digest)
                result.final_s[digest] = now
        if is_over.is_set() and not mine:
            return
