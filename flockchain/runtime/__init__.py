"""Floor 4: the state transition. What a block does to the state, by pallets, on an overlay that the caller owns.

Start with `executive.py`; `frame.py` is the kit of which pallets are made, `flock.py` the list of them.
"""

from flockchain.runtime.executive import BlockDraft, BlockOutcome, Executive, InvalidBlock
from flockchain.runtime.extrinsics import CheckedExtrinsic, sign_extrinsic
from flockchain.runtime.flock import Runtime, build_runtime
from flockchain.runtime.genesis import build_genesis, encode_genesis, load_genesis
from flockchain.runtime.genesis_config import GenesisConfig
from flockchain.runtime.metadata import decode_event, describe_runtime
from flockchain.runtime.views import Views

__all__ = [
    "BlockDraft",
    "BlockOutcome",
    "CheckedExtrinsic",
    "Executive",
    "GenesisConfig",
    "InvalidBlock",
    "Runtime",
    "Views",
    "build_genesis",
    "build_runtime",
    "decode_event",
    "describe_runtime",
    "encode_genesis",
    "load_genesis",
    "sign_extrinsic",
]
