"""The SDK: everything that a trainer, a task's creator or a tool needs of a chain, without torch and without a node.

    from flockchain.client import Account, Client

`Client` is for ordinary code, `AsyncClient` for asyncio; both have the same nouns: chain, extrinsics, state, tasks,
rounds, updates, models, light, blobs, events. Errors are in `flockchain.client.errors`, by what one can do about them.
Offline verification is in `flockchain.light` and `flockchain.client.lineage`.
"""

from flockchain.client.account import Account, Signer
from flockchain.client.async_client import AsyncClient
from flockchain.client.blocking_client import Client, SubmittedExtrinsic, SubmittedUpdate
from flockchain.client.extrinsics import ExtrinsicHandle, build_extrinsic
from flockchain.client.light import Checkpoint
from flockchain.client.metadata import CallRequest, Metadata
from flockchain.client.models import Model
from flockchain.client.records import (
    AccountRecord,
    BlockRecord,
    Event,
    ExtrinsicRecord,
    FinalizedBlock,
    LineageRecord,
    RoundChanged,
    StatusRecord,
    UpdateState,
)
from flockchain.client.transport import Timing
from flockchain.client.updates import UpdateHandle

__all__ = [
    "Account", "AccountRecord", "AsyncClient", "BlockRecord", "CallRequest", "Checkpoint", "Client", "Event",
    "ExtrinsicHandle",
    "ExtrinsicRecord", "FinalizedBlock", "LineageRecord", "Metadata", "Model", "RoundChanged", "Signer",
    "StatusRecord", "SubmittedExtrinsic", "SubmittedUpdate", "Timing", "UpdateHandle", "UpdateState",
    "build_extrinsic",
]  # fmt: skip
