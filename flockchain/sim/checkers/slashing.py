"""No honest validator is ever slashed for an offence; a proven equivocator is, once for each offence.

Proven: an honest node passed the evidence on. It must then be in a block at the latest when that same node, not
restarted since, has a block of its own finalized while the evidence is young enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flockchain.crypto.signing import compute_score_commit_bytes
from flockchain.gossip import messages as wire
from flockchain.primitives.codec import HASH, U8, U64
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.evidence import EVIDENCE, VoteEvidence
from flockchain.primitives.limits import EVIDENCE_PER_BLOCK_MAX
from flockchain.primitives.validator_set import VALIDATOR_SET
from flockchain.replica.effects import ReplicaEffect, SendMessage
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.block_events import OFFENCE_REPORTED, iterate_events
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Slashing"]
