"""The bytes of a simulated world: who has them on disk, and whom their maker serves.

A node fetches from the maker, or from any peer that has the blob and can be reached. Stores survive crashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flockchain.primitives.numbers import Hash, NodeId
from flockchain.storage.blobs import compute_blob_root

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["SimBlobs"]


class SimBlobs:
    """All blobs that were ever made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bytes: dict[Hash, bytes] = {}
        self._served: dict[Hash, frozenset[NodeId]] = {}  # blobs that are not here are served to all

    def make(self, data: bytes, served: Iterable[NodeId] | None = None) -> Hash:
        """Bytes come into being. Their maker serves `served` only, or everybody."""
        root = compute_blob_root(data)
        self._bytes[root] = data
        if served is None:
            self._served.pop(root, None)
        else:
            self._served[root] = frozenset(served)
        return root

    def put(self, node: SimNode, data: bytes) -> Hash:
        """A node makes bytes and keeps them; it serves them while it is up."""
        root = compute_blob_root(data)
        self._bytes[root] = data
        self._served.setdefault(root, frozenset())
        node.blobs.add(root)
        return root

    def fetch(self, node: SimNode, root: Hash) -> bool:
        """Bring a blob to the node's disk, if it can be had now."""
        if root not in self._bytes:
            return False
        if root in node.blobs or self._is_offered(node, root):
            node.blobs.add(root)
            return True
        return False

    def read(self, node: SimNode, root: Hash) -> bytes | None:
        """A blob on the node's disk."""
        return self._bytes[root] if root in node.blobs else None

    def _is_offered(self, node: SimNode, root: Hash) -> bool:
        served = self._served.get(root)
        if served is None or node.node_id in served:
            return True
        reach = self._world.network.can_reach
        return any(
            peer.is_up and root in peer.blobs and reach(peer.node_id, node.node_id) for peer in self._world.nodes
        )
