"""A leader that builds beside a notarized block: whether that breaks a rule is up to the views in between.

A view may be notarized and nullified by the same validators: each signs NOTARIZE, and NULLIFY once the view's time is
over. A block upon what came before such a view skips nothing, and may become final.
"""

from __future__ import annotations

import pytest

from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import Hash
from flockchain.primitives.vote import VoteKind
from flockchain.replica.effects import SendMessage
from flockchain.sim.checkers import Checker
from flockchain.sim.checkers.certificates import iterate_certificates
from flockchain.sim.plan import FaultPlan
from flockchain.sim.sim_node import SimNode
from flockchain.sim.world import World, build_world
from tests.kit.sim_worlds import GENESIS, watch

FORKER = 1
SILENCE_MS = 2_500  # longer than a view


class FirstViews(Checker):
    """What was proposed, by view, and how the first view ended: all of it in epoch 0."""

    def __init__(self) -> None:
        self.proposed: dict[int, tuple[SimNode, int, Hash]] = {}  # view -> by whom, height, block
        self.endings: set[VoteKind] = set()

    def on_effect(self, node, effect):
        if not isinstance(effect, SendMessage):
            return ()
        message = wire.decode_message(effect.payload)
        if isinstance(message, wire.ProposalMessage) and message.proposal.block.header.epoch == 0:
            header = message.proposal.block.header
            self.proposed.setdefault(header.view, (node, header.height, compute_block_hash(header)))
        self.endings |= {each.kind for each in iterate_certificates(effect) if (each.epoch, each.view) == (0, 1)}
        return ()


def build_split(seed: int) -> tuple[World, FirstViews]:
    """Everybody sees the first block and votes for it; no vote arrives before everybody has given the view up."""
    world = build_world(seed, GENESIS, FaultPlan(8_000, byzantine=FORKER, adversary="forking_leader"))
    views = FirstViews()
    world.checkers.append(views)
    world.start()
    while not views.proposed:
        world.advance(1)
    links = [(source.node_id, target.node_id) for source in world.nodes for target in world.nodes]
    world.network.clog(links, world.now_ms + SILENCE_MS)
    return world, views


def is_led_by_the_forker(world: World, view: int) -> bool:
    core = world.nodes[0].replica.core
    return core.validators.validators[core.get_leader(view)].account == world.nodes[FORKER].account


@pytest.mark.parametrize(("seed", "height"), [(6, 1), (21, 2)], ids=["beside it", "upon a block still unnotarized"])
def test_a_fork_breaks_no_rule_where_the_view_was_notarized_and_nullified(seed: int, height: int) -> None:
    world, views = build_split(seed)
    assert not is_led_by_the_forker(world, 1)
    assert is_led_by_the_forker(world, 2)
    recorder = watch(world)
    world.advance(8_000)
    assert world.finish().violations == ()
    assert views.endings >= {VoteKind.NOTARIZE, VoteKind.NULLIFY}
    forker, fork_height, fork = views.proposed[2]
    assert (forker, fork_height) == (world.nodes[FORKER], height)
    assert world.marks["fork"] > 0
    assert fork in {executed.block_hash for executed, _ in recorder.blocks}
