"""What a Byzantine node puts on its own links: frames that are no frames, and frames that had their day elsewhere.

Links are authenticated, so nobody can do this in another's name; and what is signed was signed by somebody, once:
earlier, in another epoch, or on another chain with the same keys.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.gossip import messages as wire
from flockchain.primitives.limits import FRAME_BYTES_MAX, SYNC_BLOCKS_PER_REPLY_MAX
from flockchain.primitives.numbers import ZERO_HASH, Epoch, Height, View
from flockchain.replica.events import MessageReceived
from flockchain.sim.recording import record_another_chain

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["Junk", "draw_junk"]

_BOAST: Final = Height(2**40)
_GARBAGE_BYTES_MAX: Final = 600
_OVERSIZED: Final = bytes(FRAME_BYTES_MAX + 1)


@dataclass(frozen=True, slots=True)
class Junk:
    """At `at_ms` a node sends `frames` of a kind, all at once, each to everybody."""

    at_ms: int
    node: int
    kind: str
    frames: int

    def unleash(self, world: World) -> None:
        world.schedule_fault(self.at_ms, lambda: self._send(world))

    def _send(self, world: World) -> None:
        source = world.nodes[self.node]
        if not source.is_up:
            return
        world.mark(f"{self.kind} frames")
        for payload in _MAKERS[self.kind](world, self.frames):
            for peer in world.get_neighbours(source):
                self._inject(world, source, peer, payload)

    def _inject(self, world: World, source: SimNode, target: SimNode, payload: bytes) -> None:
        """Put a frame on the wire that no replica sent, and mark it if the target neither signs nor commits for it."""
        life = target.life

        def arrive() -> None:
            before = (target.is_running, target.life, len(target.vote_journal), target.get_height())
            target.deliver(life, MessageReceived(source.node_id, payload))
            if before == (True, life, len(target.vote_journal), target.get_height()):
                world.mark(f"{self.kind} frame refused")

        for delay_ms in world.network.plan(source.node_id, target.node_id, world.now_ms):
            world.schedule.add(delay_ms, arrive)


def draw_junk(rng: random.Random, faults_ms: int, node: int | None, most: int) -> tuple[Junk, ...]:
    """Up to `most` bursts by the Byzantine node, if there is one."""
    kinds, amounts = tuple(_MAKERS), (4, 20, 150)
    bursts = tuple(
        (rng.randrange(faults_ms), rng.choice(kinds), rng.choice(amounts)) for _ in range(rng.randrange(most + 1))
    )
    return () if node is None else tuple(Junk(at_ms, node, kind, frames) for at_ms, kind, frames in bursts)


def _replay(world: World, frames: int) -> Sequence[bytes]:
    return _pick(world.rng, world.recording.frames, frames)


def _replay_another_chain(world: World, frames: int) -> Sequence[bytes]:
    return _pick(world.rng, record_another_chain(world.genesis, world.bls), frames)


def _truncate(world: World, frames: int) -> Sequence[bytes]:
    return [payload[: world.rng.randrange(len(payload))] for payload in _replay(world, frames)]


def _flip(world: World, frames: int) -> Sequence[bytes]:
    flipped = []
    for payload in _replay(world, frames):
        raw, bit = bytearray(payload), world.rng.randrange(8 * len(payload))
        raw[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(raw))
    return flipped


def _make_garbage(world: World, frames: int) -> Sequence[bytes]:
    return [world.rng.randbytes(world.rng.randrange(_GARBAGE_BYTES_MAX)) for _ in range(frames)]


def _make_oversized(world: World, frames: int) -> Sequence[bytes]:
    return [_OVERSIZED]


def _ask_for_everything(world: World, frames: int) -> Sequence[bytes]:
    rng, top = world.rng, world.mirror.height + 8
    epoch = Epoch(rng.randrange(top) // world.genesis.epoch_blocks)
    asked: list[wire.PeerMessage] = [
        wire.StatusMessage(_BOAST, ZERO_HASH, Epoch(2**40), View(2**40)),
        wire.CertificatesRequest(epoch, View(0)),
        wire.BlockRequest(world.mirror.block_hash or ZERO_HASH),
    ]
    asked += [wire.BlocksRequest(Height(rng.randrange(top)), SYNC_BLOCKS_PER_REPLY_MAX) for _ in range(frames)]
    return [wire.encode_message(message) for message in asked]


def _pick(rng: random.Random, recorded: Sequence[bytes], frames: int) -> Sequence[bytes]:
    return [rng.choice(recorded) for _ in range(frames)] if recorded else []


_MAKERS: Final[Mapping[str, Callable[[World, int], Sequence[bytes]]]] = {
    "replayed": _replay,
    "another chain's": _replay_another_chain,
    "truncated": _truncate,
    "flipped": _flip,
    "garbage": _make_garbage,
    "oversized": _make_oversized,
    "greedy": _ask_for_everything,
}
