"""The same core on real BLS signatures: four members, three blocks, from proposals to finality."""

from __future__ import annotations

from dataclasses import replace

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash
from flockchain.primitives.numbers import ZERO_HASH, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import ANCHOR, Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind


class Table:
    """Members round a table: every word is heard at once, by all."""

    def __init__(self, room: Room) -> None:
        self.books = [Playbook(room, index) for index in range(len(room.secrets))]
        self.final = {index: [ANCHOR] for index in range(len(self.books))}
        self.heights = {ANCHOR: 40}
        self.room = room
        self.blamed: list[fx.BlamePeer] = []

    def run(self, blocks: int) -> None:
        queue = [(book, effect) for book in self.books for effect in book.start()]
        while queue and min(map(len, self.final.values())) <= blocks:
            book, effect = queue.pop(0)
            queue += self.perform(book, effect)

    def perform(self, book: Playbook, effect: fx.Effect) -> list[tuple[Playbook, fx.Effect]]:
        me = get_node_id(book.me or 0)
        if isinstance(effect, fx.BuildBlock):
            block = self.room.build_block(effect.view, effect.parent_hash, self.heights[effect.parent_hash] + 1)
            self.heights[compute_block_hash(block.header)] = block.header.height
            return [(book, each) for each in book.tell(ev.BlockBuilt(effect.view, block))]
        if isinstance(effect, fx.CheckBlock):
            return [(book, each) for each in book.approve(effect.block)]
        if isinstance(effect, fx.FinalizeBlocks):
            self.final[book.me or 0] += effect.block_hashes
        if isinstance(effect, fx.BlamePeer):
            self.blamed.append(effect)
        heard: dict[type, ev.Event] = {}
        if isinstance(effect, fx.BroadcastProposal):
            heard[fx.BroadcastProposal] = ev.ProposalReceived(effect.proposal, me)
        if isinstance(effect, fx.BroadcastVote):
            heard[fx.BroadcastVote] = ev.VoteReceived(effect.vote, me)
        if isinstance(effect, fx.BroadcastCertificate):
            heard[fx.BroadcastCertificate] = ev.CertificateReceived(effect.certificate, me)
        others = [other for other in self.books if other is not book]
        return [(other, each) for event in heard.values() for other in others for each in other.tell(event)]


def test_four_members_with_real_keys_finalize_the_same_chain() -> None:
    table = Table(Room.build(bls=get_default_backend()))
    table.run(3)
    chains = [chain[:4] for chain in table.final.values()]
    assert all(len(chain) == 4 for chain in chains)
    assert all(chain == chains[0] for chain in chains)
    assert table.blamed == []


def test_a_bad_real_signature_is_bisected_out_and_blamed() -> None:
    room = Room.build(bls=get_default_backend())
    me = next(index for index in range(4) if index != room.get_leader(1))
    book = Playbook(room, me)
    book.start()
    others = [index for index in range(4) if index != me]
    wrong = room.sign(NULLIFY, 2, ZERO_HASH, others[0])  # a real signature, of another message
    forged = [replace(wrong, view=View(1)), replace(wrong, view=View(1), signature=b"\xff" * 96)]
    effects: list[fx.Effect] = []
    for vote in (forged[0], *(room.sign(NULLIFY, 1, ZERO_HASH, signer) for signer in others[1:])):
        effects += book.tell(ev.VoteReceived(vote, get_node_id(vote.signer)))
    effects += book.tell(ev.VoteReceived(forged[1], get_node_id(others[0])))
    assert [each.peer for each in only(effects, fx.BlamePeer)] == [get_node_id(others[0])] * 2
    assert book.core.view == 1
    book.tell(ev.VoteReceived(room.sign(NULLIFY, 1, ZERO_HASH, others[0]), get_node_id(others[0])))
    assert book.core.view == 2
