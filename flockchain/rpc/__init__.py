"""The API of a node: one file per gRPC service over `ChainBackend`, which the node implements."""

from flockchain.rpc.backend import ChainBackend, ChainIdentity, ExtrinsicPool, FinalizedChain, NodeStatus, StateProof
from flockchain.rpc.heads import HeadBroadcast, SlowReader
from flockchain.rpc.server import ApiLimits, ApiServer, build_server

__all__ = [
    "ApiLimits", "ApiServer", "ChainBackend", "ChainIdentity", "ExtrinsicPool", "FinalizedChain", "HeadBroadcast",
    "NodeStatus", "SlowReader", "StateProof", "build_server",
]  # fmt: skip
