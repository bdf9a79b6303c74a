"""A node's API over a real chain: the tests' chain in an archive, a pool, a blob store, and a server on loopback.

Blocks are made when a test says so, or all the time by `run_blocks`. All validators sign every certificate.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flockchain.crypto.hashing import compute_block_hash
from flockchain.crypto.voting import build_certificate, sign_vote
from flockchain.mempool.pool import AlreadyPooled, Pool
from flockchain.primitives.block import Block, Header
from flockchain.primitives.numbers import AccountId, Hash, Height, Nonce, TaskId
from flockchain.primitives.vote import Certificate, Vote, VoteKind
from flockchain.rpc import ApiLimits, ChainIdentity, HeadBroadcast, NodeStatus, StateProof, build_server
from flockchain.runtime.execution import BLOCK_OUTCOME, BlockOutcome
from flockchain.runtime.extrinsics import CheckedExtrinsic
from flockchain.runtime.flock import Runtime
from flockchain.runtime.genesis import encode_genesis
from flockchain.runtime.pallets.tasks import CreateTask
from flockchain.runtime.views import find_fixed_sets
from flockchain.storage.archive import Archive, BlockCommit
from flockchain.storage.blobs import BlobStore
from flockchain.storage.memory_store import MemoryStore
from flockchain.storage.overlay import Overlay
from flockchain.storage.proof import PROOF
from tests.kit.learning import LearningChain, build_spec
from tests.kit.runtime_chain import RuntimeChain

__all__ = ["ApiNode", "ArchivedChain", "build_learning_node", "serve", "wait_until"]

BLOCK_PAUSE_S = 0.02
HEADS_QUEUED_MAX = 256


@dataclass(slots=True)
class ArchivedChain(RuntimeChain):
    """The tests' chain that also keeps an archive; heights in `uncertified` are finalized by a later one."""

    archive: Archive = field(default_factory=lambda: Archive(MemoryStore()))
    heads: HeadBroadcast = field(default_factory=HeadBroadcast)
    uncertified: set[int] = field(default_factory=set)
    pending: list[BlockCommit] = field(default_factory=list)

    @classmethod
    def open(cls) -> ArchivedChain:
        chain = cls.start()
        assert isinstance(chain, ArchivedChain)
        runtime = chain.runtime
        chain.archive.initialise(runtime.genesis_hash, runtime.genesis_block, runtime.genesis_changes)
        return chain

    def apply(self, block: Block) -> BlockOutcome:
        """Apply, certify, commit to the archive and tell the subscribers."""
        overlay = Overlay(self.store)
        self.executive.apply_block(overlay, block, self.head)
        changes = dict(overlay.changes)
        members = self.members
        outcome = RuntimeChain.apply(self, block)
        block_hash = compute_block_hash(block.header)
        self.pending.append(
            BlockCommit(block_hash, block, changes, BLOCK_OUTCOME.encode(outcome), find_fixed_sets(changes))
        )
        if block.header.height not in self.uncertified:
            finalized, self.pending = self.pending, []
            self.archive.commit(finalized, self.certify(block.header, members))
            for commit in finalized:
                self.heads.publish(commit.block.header.height)
        return outcome

    def certify(self, header: Header, members: Any) -> Certificate:
        runtime = self.runtime
        subject = (VoteKind.FINALIZE, header.epoch, header.view, compute_block_hash(header))
        votes = [
            Vote(*subject, signer=index, signature=sign_vote(
                runtime.bls, runtime.genesis_hash, self.secrets[member.account].consensus_secret, *subject))
            for index, member in enumerate(members.validators)
        ]  # fmt: skip
        return build_certificate(runtime.bls, members, votes)


class ApiNode:
    """`ChainBackend` over an `ArchivedChain`: what a node is to its API, without consensus and peers."""

    def __init__(self, chain: ArchivedChain, folder: Path) -> None:
        self.ledger = chain
        self.waiting: Pool[CheckedExtrinsic] = Pool()
        self.blobs = BlobStore(folder / "blobs")
        self.submissions = 0

    @property
    def identity(self) -> ChainIdentity:
        return ChainIdentity(
            self.runtime.genesis_hash, self.runtime.config.chain, encode_genesis(self.runtime.config), "0.1.0"
        )

    @property
    def runtime(self) -> Runtime:
        return self.ledger.runtime

    @property
    def chain(self) -> Archive:
        return self.ledger.archive

    @property
    def pool(self) -> ApiNode:
        return self

    @property
    def heads(self) -> HeadBroadcast:
        return self.ledger.heads

    def get_status(self) -> NodeStatus:
        head = self.chain.get_head()
        assert head is not None
        return NodeStatus(head.height, head.block_hash, head.view, head.epoch, 3, False, len(self.waiting))

    def prove(self, key: bytes) -> StateProof:
        proof = self.ledger.tree.prove(key, self.ledger.store.get)
        return StateProof(self.ledger.height, self.ledger.store.get(key), PROOF.encode(proof))

    async def submit_extrinsic(self, raw: bytes) -> Hash:
        self.submissions += 1
        checked = self.ledger.executive.check_extrinsic(raw)
        self.ledger.executive.require_admissible(self.chain.state, checked, self.get_next_nonce(checked.sender))
        with suppress(AlreadyPooled):
            self.waiting.add(checked, self.runtime.views.get_nonce(self.chain.state, checked.sender))
        return checked.digest

    def is_pending(self, extrinsic_hash: Hash) -> bool:
        return extrinsic_hash in self.waiting

    def get_next_nonce(self, account: AccountId) -> Nonce:
        nonce = self.runtime.views.get_nonce(self.chain.state, account)
        return Nonce(self.waiting.get_pending_nonce(account, nonce))

    def make_block(self) -> BlockOutcome:
        """One block of what waits."""

        def get_nonce(account: AccountId) -> int:
            return self.runtime.views.get_nonce(self.chain.state, account)

        height = Height(self.ledger.height + 1)
        taken = self.waiting.take(height, 500, 1_000_000, get_nonce)
        outcome = self.ledger.advance(*[checked.raw for checked in taken])
        nonces = {checked.sender: get_nonce(checked.sender) for checked in taken}
        self.waiting.on_finalized([checked.digest for checked in taken], nonces)
        return outcome

    @asynccontextmanager
    async def run_blocks(self) -> AsyncIterator[None]:
        """Blocks all the time, as a live chain makes them."""

        async def run() -> None:
            while True:
                await asyncio.sleep(BLOCK_PAUSE_S)
                self.make_block()

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def build_learning_node(folder: Path, **fields: Any) -> tuple[ApiNode, LearningChain]:
    """A node whose chain has a task, and the words to play its rounds."""
    spec = build_spec(**fields)
    world = LearningChain(ArchivedChain.open(), TaskId(0), spec)
    assert isinstance(world.chain, ArchivedChain)
    assert world.chain.call("faucet", "tasks.create", CreateTask(spec)) == ""
    return ApiNode(world.chain, folder), world


async def wait_until(is_so: Callable[[], bool]) -> None:
    """Give the event loop time until something is so."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to be")


@asynccontextmanager
async def serve(
    node: ApiNode,
    limits: ApiLimits | None = None,
    *,
    address: str = "127.0.0.1:0",
) -> AsyncIterator[str]:
    """The node's API on a loopback port; gives its endpoint."""
    node.ledger.heads = HeadBroadcast(queued_max=HEADS_QUEUED_MAX)
    server = build_server(node, limits)
    port = await server.start(address)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        node.heads.close()
        await server.stop(0)
