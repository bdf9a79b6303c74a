"""Watches a running devnet through its nodes' APIs: where nodes are, how rounds go, when blocks were finalized.

Knows the SDK. Decides nothing, and a node that does not answer is shown as such and not an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from types import TracebackType

from flockchain.client import Client, FinalizedBlock, Timing
from flockchain.devnet.plan import NodePlan
from flockchain.devnet.report import BlockSeen
from flockchain.devnet.view import NodeSeen, RoundSeen
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.learning import ReasonCode
from flockchain.primitives.numbers import Hash
from flockchain.primitives.rounds import RoundRecord

__all__ = ["Watch", "describe_round"]

_QUICK = Timing(deadline_ms=2_000, attempts=2)


class Watch:
    """Clients of every node, and a thread that follows the first node's finalized blocks."""

    def __init__(self, nodes: Sequence[NodePlan]) -> None:
        self._nodes = tuple(nodes)
        self._clients = {node.name: Client(node.api_address, timing=_QUICK) for node in nodes}
        self._stream = Client(*(node.api_address for node in nodes))
        self._blocks: dict[int, BlockSeen] = {}
        self._is_over = False
        self._thread = threading.Thread(target=self._follow, name="devnet-watch", daemon=True)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        for client in (*self._clients.values(), self._stream):
            client.close()

    @property
    def blocks(self) -> tuple[BlockSeen, ...]:
        """The finalized blocks so far, by height."""
        return tuple(block for _, block in sorted(self._blocks.items()))

    def follow_blocks(self) -> None:
        """Start to note every finalized block. The first node must answer by now."""
        self._thread.start()

    def is_finalizing(self) -> bool:
        """Whether every node has finalized a block and every two are connected."""
        others = len(self._nodes) - 1
        return all((node.height or 0) > 0 and node.peers >= others for node in self.get_nodes())

    def get_nodes(self) -> tuple[NodeSeen, ...]:
        """Where each node is."""
        return tuple(self._get_node(node) for node in self._nodes)

    def get_rounds(self, task: int) -> tuple[RoundRecord, ...]:
        """The rounds of a task that were opened so far, oldest first."""
        client = self._clients[self._nodes[0].name]
        try:
            current = client.tasks.get(task).round
            return tuple(client.rounds.get(task, number) for number in range(current + 1))
        except FlockchainError:
            return ()

    def get_state_roots(self, height: int) -> dict[str, Hash | None]:
        """Each node's state root at a height; None for a node that does not have it."""
        return {name: _get_state_root(client, height) for name, client in self._clients.items()}

    def _get_node(self, node: NodePlan) -> NodeSeen:
        try:
            status = self._clients[node.name].chain.get_status()
        except FlockchainError:
            return NodeSeen(node.name, node.api_address, None, 0, 0)
        return NodeSeen(node.name, node.api_address, status.height, status.view, status.peers)

    def _follow(self) -> None:
        try:
            start = self._stream.chain.get_status().height
            for item in self._stream.events.subscribe(after=0, without_runtime_events=True):
                if isinstance(item, FinalizedBlock):
                    now_ms = time.time_ns() // 1_000_000
                    seen_ms = now_ms if item.height > start else None
                    self._blocks[item.height] = BlockSeen(
                        item.height, item.epoch, item.view, item.timestamp_ms, seen_ms
                    )
        except (FlockchainError, CancelledError):  # closing the client cancels what waits in it
            if not self._is_over:
                raise


def describe_round(record: RoundRecord, updates_max: int) -> RoundSeen:
    """A round for the view."""
    accepted = sum(verdict.reason is ReasonCode.ACCEPTED for verdict in record.verdicts)
    return RoundSeen(
        number=record.round, phase=record.phase.name.lower(), updates=len(record.updates), updates_max=updates_max,
        commits=len(record.commits), reveals=len(record.reveals), committee=len(record.committee), accepted=accepted,
        rejected=len(record.verdicts) - accepted,
    )  # fmt: skip


def _get_state_root(client: Client, height: int) -> Hash | None:
    try:
        return client.chain.get_block(height).header.state_root
    except FlockchainError:
        return None
