"""The second phase: a random core of more than 2/3 of the stake is healed, and must converge.

The others may be healed too, or stay away for good. Each core node must finalize beyond the highest head of before, so
those that lag catch up, and what a user hands to one of them must run on all of them. Should the validator set change
until the core's stake is not enough, then more nodes are healed.

Knows stakes as the chain's own state shows them. Does not know what went wrong before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from flockchain.crypto import ed25519
from flockchain.primitives.codec import U64
from flockchain.primitives.numbers import AccountId, Balance
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain.runtime.pallets.balances import Transfer
from flockchain.sim.checkers import Violation
from flockchain.sim.network import Link
from flockchain.sim.traffic import LIFETIME_BLOCKS

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["WITNESS_ACCOUNT", "Healing"]

WITNESS_ACCOUNT: Final = "witness"  # a user who asks for nothing before the world is healed

_PROGRESS_BLOCKS: Final = 6
_SMALL_MS: Final = 2_000
_NEAR_BLOCKS: Final = 8
_SETS: Final = b"staking/set/"
_NONCES: Final = b"system/nonce/"


class Healing:
    """One world's way out. `run` gives what did not come true."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._guest: SimNode | None = None  # who is handed the extrinsic
        self._last_height: int | None = None  # where it may run at the latest, once it was handed over
        self.core: list[SimNode] = []

    def run(self) -> Iterable[Violation]:
        """Heal, wait, and judge."""
        world = self._world
        world.is_healed = True
        self.core = self._draw_core()
        self._heal()
        self._guest = world.rng.choice(self.core)
        start = max(node.get_height() for node in world.nodes)
        target = start + _PROGRESS_BLOCKS

        def has_converged() -> bool:
            self._grow_core()
            self._submit(start)
            return not any(self._judge(target))

        world.advance_until(lambda: has_converged() or self._is_too_late(), world.plan.healed_ms)
        return self._judge(target)

    def _draw_core(self) -> list[SimNode]:
        """All honest nodes, less some that the others can do without."""
        world = self._world
        core = list(world.honest)
        for node in world.rng.sample(core, len(core)):
            rest = [each for each in core if each is not node]
            if world.rng.randrange(2) and rest and self._is_enough(rest) and _is_connected(world, rest):
                core = rest
        return core

    def _heal(self) -> None:
        """The core is well again. Of the others some are too, some stay down, and some stay cut off."""
        world = self._world
        apart: list[SimNode] = []
        for node in world.nodes:
            fate = world.rng.randrange(4)
            if node in self.core or fate < 2:
                self._heal_node(node)
            elif fate == 2:
                world.mark("left down")
                node.switch_off()
            else:
                world.mark("left apart")
                self._heal_node(node)
                apart.append(node)
        world.network.heal([link for node in apart for link in _list_links(world, node)])

    def _heal_node(self, node: SimNode) -> None:
        """Whoever sets a clock back by more than a little restarts the process, for time does not go back for it.

        A disk that would refuse the next write is a good one first: a node that stops forgets what it was asked.
        """
        node.clock_error_ms = 0
        node.wake()
        if node.is_up and node.now_ms - self._world.now_ms > _SMALL_MS:
            node.crash()
        node.folder.disk.heal()
        node.switch_on()

    def _grow_core(self) -> None:
        """When validators came and went so that the core is no core any more, then heal somebody else."""
        while not self._is_enough(self.core):
            rest = [node for node in self._world.honest if node not in self.core]
            if not rest:
                return
            self._world.mark("core grew")
            node = rest[0]
            self._heal_node(node)
            self._world.network.mend(_list_links(self._world, node))
            self.core.append(node)

    def _is_enough(self, nodes: Collection[SimNode]) -> bool:
        """Whether these nodes have a quorum in every set from the open epoch on, as far as sets are known."""
        accounts = {node.account for node in nodes if node.is_voting and not node.is_silenced}
        return all(_has_quorum(members, accounts) for members in self._list_sets())

    def _list_sets(self) -> Iterator[ValidatorSet]:
        mirror, genesis = self._world.mirror, self._world.genesis
        epoch = mirror.height // genesis.epoch_blocks  # of the next block
        while (raw := mirror.state.get(_SETS + U64.encode(epoch))) is not None:
            yield VALIDATOR_SET.decode(raw)
            epoch += 1

    def _submit(self, start: int) -> None:
        """Once the asked node has caught up, a user hands it a transfer; signed far behind, it would be too old."""
        guest = self._guest
        head = max(node.get_height() for node in self.core)
        if self._last_height is None and guest is not None and guest.get_height() >= max(start, head - _NEAR_BLOCKS):
            transfer = Transfer(_get_witness(), Balance(1))
            birth = guest.get_height()
            asked = self._world.traffic.submit_to(guest, derive_dev_account(WITNESS_ACCOUNT), (1, 0, transfer))
            self._last_height = None if asked is None else birth + LIFETIME_BLOCKS

    def _is_too_late(self) -> bool:
        """Whether the whole core is past the life of what it was asked: what has not come true by then never does."""
        return self._last_height is not None and all(node.get_height() >= self._last_height for node in self.core)

    def _judge(self, target: int) -> Iterator[Violation]:
        for node in self.core:
            name, height = node.node_id[:4].hex(), node.get_height()
            if height < target:
                yield Violation("progress", f"node {name} stands at {height} of {target}")
            elif node.archive.state.get(_NONCES + _get_witness()) != U64.encode(1):
                yield Violation("inclusion", f"node {name} at {height} has not run what a healed node was asked")


def _get_witness() -> AccountId:
    return AccountId(ed25519.get_public_key(derive_dev_account(WITNESS_ACCOUNT)))


def _has_quorum(members: ValidatorSet, accounts: Collection[AccountId]) -> bool:
    total = sum(member.stake for member in members.validators)
    return 3 * sum(member.stake for member in members.validators if member.account in accounts) > 2 * total


def _is_connected(world: World, nodes: Collection[SimNode]) -> bool:
    """Whether every one of these nodes reaches every other over links among themselves."""
    reached, frontier = set(), [next(iter(nodes))]
    while frontier:
        node = frontier.pop()
        if node.node_id not in reached:
            reached.add(node.node_id)
            frontier += [peer for peer in world.get_neighbours(node) if peer in nodes]
    return len(reached) == len(nodes)


def _list_links(world: World, node: SimNode) -> list[Link]:
    peers = [peer.node_id for peer in world.nodes if peer is not node]
    return [(node.node_id, peer) for peer in peers] + [(peer, node.node_id) for peer in peers]
