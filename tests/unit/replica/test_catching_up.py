"""A replica that serves and one that catches up, event by event: what is answered, and in which slices work is done."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import replace

import pytest

from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import compute_block_hash
from flockchain.gossip import messages as wire
from flockchain.primitives.numbers import AccountId, Epoch, Height, NodeId
from flockchain.replica import effects as out
from flockchain.replica import events
from flockchain.replica.assembly import Habits, assemble_replica
from flockchain.replica.epochs import Identity
from flockchain.runtime.ledger import FinalBlockNotExecuted
from flockchain.storage.archive import Archive
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.snapshot_install import install_snapshot
from flockchain.storage.snapshot_shelf import MemoryShelf
from flockchain.sync import Checkpoint, RetentionConfig, SnapshotConfig
from tests.kit.long_chains import LongChain, build_long_genesis

EPOCH_BLOCKS = 4
LENGTH = 42
SERVER, JOINER = NodeId(b"S" * 32), NodeId(b"J" * 32)
BY_BLOCKS = SnapshotConfig(is_enabled=False)
BY_STATE = SnapshotConfig(lag_blocks=10)


class Node:
    """A replica that only follows, and a host that performs its effects in memory."""

    def __init__(self, genesis, name, habits, store=None):
        self.genesis, self.name, self.habits = genesis, name, habits
        self.store = store or MemoryStore()
        self.archive = Archive(self.store)
        self.commits: list[int] = []  # blocks in each batch
        self.boot(genesis.timestamp_ms)

    def boot(self, now_ms):
        identity = Identity(AccountId(self.name), None)
        self.replica = assemble_replica(
            self.genesis, get_default_backend(), self.archive, identity, now_ms, habits=self.habits
        )

    @property
    def height(self):
        return self.archive.get_head().height

    def hear(self, message, now_ms, peer=JOINER):
        """The answers to one message."""
        effects = self.replica.on_event(events.MessageReceived(peer, wire.encode_message(message)), now_ms)
        sent = [effect for effect in effects if isinstance(effect, out.SendMessage) and effect.peers == (peer,)]
        return [wire.decode_message(effect.payload) for effect in sent]


class Pair:
    """Two nodes and the line between them. Time passes when nothing else is to do."""

    def __init__(self, server, joiner):
        self.nodes = {SERVER: server, JOINER: joiner}
        self.now_ms = server.replica.ledger.finalized.header.timestamp_ms + 1_000
        self.waiting = []
        self.order = itertools.count()
        self.slices: list[int] = []  # blocks executed in each event of the joiner
        self.installs = 0
        for name in self.nodes:
            self.handle(name, events.Started())
        self.handle(SERVER, events.PeerConnected(JOINER))
        self.handle(JOINER, events.PeerConnected(SERVER))

    def handle(self, name, event):
        node = self.nodes[name]
        executed = len(node.replica.ledger._blocks)
        effects = node.replica.on_event(event, self.now_ms)
        if name == JOINER:
            self.slices.append(max(0, len(node.replica.ledger._blocks) - executed))
        for effect in effects:
            self.perform(name, node, effect)

    def perform(self, name, node, effect):
        if isinstance(effect, out.CommitBlocks):
            node.archive.commit(effect.build_commits(), effect.certificate)
            node.commits.append(len(effect.executed))
        elif isinstance(effect, out.SendMessage):
            for peer in effect.peers:
                self.put(0, peer, events.MessageReceived(name, effect.payload))
        elif isinstance(effect, out.SetTimer):
            self.put(effect.after_ms, name, events.TimerFired(effect.timer))
        elif isinstance(effect, out.KeepEpochEnds):
            node.archive.put_epoch_ends([(it.header, it.certificate, it.validators) for it in effect.light_blocks])
        elif isinstance(effect, out.KeepChunk):
            node.habits.fetched.put_chunk(effect.info, effect.index, effect.data)
        elif isinstance(effect, out.InstallSnapshot):
            assert install_snapshot(node.store, node.habits.fetched, effect.plan)
            node.archive.reload()
            node.boot(self.now_ms)
            self.installs += 1
            self.handle(JOINER, events.Started())
            self.handle(JOINER, events.PeerConnected(SERVER))

    def put(self, after_ms, name, event):
        heapq.heappush(self.waiting, (self.now_ms + after_ms, next(self.order), name, event))

    def run_until_level(self):
        for _ in range(20_000):
            if self.nodes[JOINER].height == self.nodes[SERVER].height:
                return
            at_ms, _, name, event = heapq.heappop(self.waiting)
            self.now_ms = max(self.now_ms, at_ms)
            self.handle(name, event)
        raise AssertionError(f"stands at {self.nodes[JOINER].height}")


@pytest.fixture(scope="module")
def served():
    """A chain of eleven epochs with snapshots, of which nobody has changed anything."""
    genesis = build_long_genesis(LENGTH, epoch_blocks=EPOCH_BLOCKS)
    store, shelf = MemoryStore(), MemoryShelf()
    chain = LongChain(genesis, Archive(store), shelf, retention=RetentionConfig(snapshot_blocks=16))
    chain.grow(LENGTH, transfers=10)
    return genesis, store, shelf


def build_server(served):
    genesis, store, shelf = served
    return Node(genesis, SERVER, Habits(BY_BLOCKS, offered=shelf), store.freeze())


def build_joiner(served, config):
    return Node(served[0], JOINER, Habits(config, fetched=MemoryShelf()))


def test_an_empty_node_reaches_the_tip_by_blocks_a_slice_at_a_time_and_a_batch_a_span(served):
    pair = Pair(build_server(served), build_joiner(served, BY_BLOCKS))
    pair.run_until_level()
    assert pair.nodes[JOINER].archive.get_head() == pair.nodes[SERVER].archive.get_head()
    assert sum(pair.nodes[JOINER].commits) == LENGTH
    assert max(pair.nodes[JOINER].commits) == EPOCH_BLOCKS  # an answer stays inside an epoch
    assert max(pair.slices) <= 5  # 64 items, of which a block with ten transfers has fourteen


def test_an_empty_node_reaches_the_tip_by_a_snapshot_and_the_blocks_after_it(served):
    pair = Pair(build_server(served), build_joiner(served, BY_STATE))
    pair.run_until_level()
    joiner = pair.nodes[JOINER]
    assert pair.installs == 1
    assert joiner.archive.get_head() == pair.nodes[SERVER].archive.get_head()
    assert joiner.archive.get_first_height() == 32
    assert sum(joiner.commits) == LENGTH - 32
    assert joiner.replica.epoch == LENGTH // EPOCH_BLOCKS
    assert joiner.replica.core.validators == pair.nodes[SERVER].replica.core.validators


def test_a_node_that_joined_by_a_snapshot_serves_epochs_ends_and_says_what_it_has_not(served):
    pair = Pair(build_server(served), build_joiner(served, BY_STATE))
    pair.run_until_level()
    joiner, server = pair.nodes[JOINER], pair.nodes[SERVER]
    request = wire.LightBlocksRequest(Epoch(0), 64)
    assert joiner.hear(request, pair.now_ms, SERVER) == server.hear(request, pair.now_ms)
    assert joiner.hear(wire.BlocksRequest(Height(5), 10), pair.now_ms, SERVER) == [wire.BlocksPruned(Height(32))]


def test_the_ends_of_epochs_that_the_state_forgot_are_served(served):
    server = build_server(served)
    (reply,) = server.hear(wire.LightBlocksRequest(Epoch(0), 64), served[0].timestamp_ms)
    assert [it.header.height for it in reply.light_blocks] == list(range(EPOCH_BLOCKS, LENGTH, EPOCH_BLOCKS))


@pytest.mark.parametrize("epoch", [1_000, 2**64 - 1])
def test_epochs_that_are_to_come_are_answered_with_nothing(served, epoch):
    server = build_server(served)
    assert server.hear(wire.LightBlocksRequest(Epoch(epoch), 64), served[0].timestamp_ms) == [wire.LightBlocksReply(())]


def test_chunks_and_snapshots_that_are_not_there_are_answered_with_nothing(served):
    server, now_ms = build_server(served), served[0].timestamp_ms
    (offers,) = server.hear(wire.SnapshotsRequest(), now_ms)
    assert [info.height for info in offers.snapshots] == [16, 32]
    for request in (wire.ChunkRequest(Height(17), 0), wire.ChunkRequest(Height(32), 60_000)):
        assert server.hear(request, now_ms) == [wire.ChunkReply(request.height, request.index, b"")]


def test_blocks_under_a_certificate_of_an_epoch_that_nobody_knows_are_blamed_and_raise_nothing(served):
    joiner = build_joiner(served, BY_BLOCKS)
    source, now_ms = build_server(served).archive, served[0].timestamp_ms
    joiner.replica.on_event(events.PeerConnected(SERVER), now_ms)
    assert joiner.hear(wire.StatusMessage(Height(LENGTH), bytes(32), Epoch(10), 1), now_ms, SERVER)
    block = source.get_block(Height(1))
    strange = replace(block, header=replace(block.header, epoch=Epoch(900)))
    certificate = replace(
        source.get_certificate(Height(1)), epoch=Epoch(900),
        block_hash=compute_block_hash(strange.header),
    )  # fmt: skip
    reply = wire.encode_message(wire.BlocksReply((strange,), certificate))
    effects = joiner.replica.on_event(events.MessageReceived(SERVER, reply), now_ms)
    assert [effect.peer for effect in effects if isinstance(effect, out.Penalise)] == [SERVER]
    assert joiner.height == 0


def test_what_is_pruned_is_asked_of_nobody_and_a_snapshot_is_taken_instead(served):
    genesis, store, shelf = served
    server = Node(genesis, SERVER, Habits(BY_BLOCKS, offered=shelf), store.freeze())
    server.archive.prune(Height(30), 100)
    pair = Pair(server, build_joiner(served, SnapshotConfig(lag_blocks=10_000)))  # near enough for blocks
    pair.run_until_level()
    assert pair.installs == 1


def test_a_node_that_joined_serves_the_epochs_after_its_snapshot_when_the_state_forgot_them():
    """The blocks that fixed their validators never came here: only the installed state had them."""
    length = 60
    genesis = build_long_genesis(length, epoch_blocks=EPOCH_BLOCKS)
    store, shelf = MemoryStore(), MemoryShelf()
    LongChain(genesis, Archive(store), shelf, retention=RetentionConfig(snapshot_blocks=32)).grow(length)
    pair = Pair(
        Node(genesis, SERVER, Habits(BY_BLOCKS, offered=shelf), store),
        Node(genesis, JOINER, Habits(BY_STATE, fetched=MemoryShelf())),
    )
    pair.run_until_level()
    joiner, server = pair.nodes[JOINER], pair.nodes[SERVER]
    request = wire.LightBlocksRequest(Epoch(0), 64)
    (reply,) = joiner.hear(request, pair.now_ms, SERVER)
    assert pair.installs == 1
    assert [it.header.height for it in reply.light_blocks] == list(range(EPOCH_BLOCKS, length + 1, EPOCH_BLOCKS))
    assert [reply] == server.hear(request, pair.now_ms)


def test_a_checkpoint_counts_more_than_what_an_earlier_start_had_followed(served):
    server = build_server(served)
    (reply,) = server.hear(wire.LightBlocksRequest(Epoch(7), 1), served[0].timestamp_ms)
    (true,) = reply.light_blocks
    checkpoint = Checkpoint(true.header.height, true.block_hash)
    joiner = build_joiner(served, replace(BY_STATE, checkpoint=checkpoint))
    other = replace(true.header, timestamp_ms=true.header.timestamp_ms + 1)
    certificate = replace(true.certificate, block_hash=compute_block_hash(other))
    joiner.archive.put_epoch_ends([(other, certificate, true.validators)])
    pair = Pair(server, joiner)
    pair.run_until_level()
    assert pair.installs == 1


def test_a_node_with_one_block_joins_by_a_snapshot_like_an_empty_one(served):
    server, joiner = build_server(served), build_joiner(served, BY_STATE)
    request = wire.BlocksRequest(Height(1), 1)
    (reply,) = server.hear(request, served[0].timestamp_ms)
    executed = joiner.replica.ledger.execute(reply.blocks[0])
    path = tuple(joiner.replica.ledger.finalize(executed.block_hash))
    joiner.archive.commit(out.CommitBlocks(path, reply.certificate).build_commits(), reply.certificate)
    joiner.boot(served[0].timestamp_ms)
    pair = Pair(server, joiner)
    pair.run_until_level()
    assert pair.installs == 1


class Overheard(Pair):
    """Counts how often the joiner asks for snapshots."""

    asked = 0

    def perform(self, name, node, effect):
        is_ask = isinstance(effect, out.SendMessage) and effect.payload[0] == wire.MessageKind.SNAPSHOTS_REQUEST
        self.asked += name == JOINER and is_ask
        super().perform(name, node, effect)


def test_after_an_install_the_rest_comes_by_blocks_however_far_it_is(served):
    """A node that installs whenever it is some blocks behind never arrives on a chain quicker than installs."""
    pair = Overheard(build_server(served), build_joiner(served, SnapshotConfig(lag_blocks=5)))
    pair.run_until_level()
    assert LENGTH - pair.nodes[JOINER].archive.get_first_height() >= 5
    assert pair.asked == pair.installs == 1


class Overtaken(Pair):
    """Consensus brings the joiner to the tip while the chunks of a snapshot are on their way."""

    has_overtaken = False

    def perform(self, name, node, effect):
        is_asking = isinstance(effect, out.SendMessage) and effect.payload[0] == wire.MessageKind.CHUNK_REQUEST
        if name == JOINER and is_asking and not self.has_overtaken:
            self.has_overtaken = True
            self.overtake(node)
        super().perform(name, node, effect)

    def overtake(self, node):
        archive, replica = self.nodes[SERVER].archive, node.replica
        for height in range(1, self.nodes[SERVER].height + 1):
            executed = replica.ledger.execute_final(archive.get_block(Height(height)))
            certificate = archive.get_certificate(Height(height))
            if certificate is not None:
                replica.commit(replica.ledger.finalize(executed.block_hash), certificate)
                for effect in replica.outbox.take():
                    super().perform(JOINER, node, effect)
                replica.ledger.settle()


def test_a_snapshot_that_consensus_has_overtaken_is_not_installed(served):
    """A head never falls, nor is a snapshot put where we stand."""
    pair = Overtaken(build_server(served), build_joiner(served, BY_STATE))
    for _ in range(2_000):
        at_ms, _, name, event = heapq.heappop(pair.waiting)
        pair.now_ms = max(pair.now_ms, at_ms)
        pair.handle(name, event)
    assert pair.has_overtaken
    assert pair.installs == 0
    assert pair.nodes[JOINER].archive.get_head() == pair.nodes[SERVER].archive.get_head()


class OtherRules:
    """An executive of another release: from height 5 on it writes one key more."""

    def __init__(self, executive):
        self._executive = executive

    def __getattr__(self, name):
        return getattr(self._executive, name)

    def apply_block(self, overlay, block, parent, *, is_final):
        outcome = self._executive.apply_block(overlay, block, parent, is_final=is_final)
        if block.header.height >= 5:
            overlay.set(b"other rules", b"1")
        return outcome


def test_a_node_that_computes_another_state_than_a_certified_block_stops_and_blames_nobody(served):
    joiner = build_joiner(served, BY_BLOCKS)
    joiner.replica.ledger._executive = OtherRules(joiner.replica.ledger._executive)
    pair = Pair(build_server(served), joiner)
    with pytest.raises(FinalBlockNotExecuted, match="old release"):
        pair.run_until_level()
    assert joiner.archive.get_head().height == 4
