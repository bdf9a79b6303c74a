"""How much each update of a round counts: defences that weigh, so that any aggregation rule can use their weights.

A new defence is one file and one line in `DEFENCES`.
"""

from __future__ import annotations

from typing import Any, Final

from flockchain_ml.defences.accumulated_vote import AccumulatedVote
from flockchain_ml.defences.advisory_probe import SUSPECT_WEIGHT, AdvisoryProbe, find_suspects
from flockchain_ml.defences.defence import CLAIMED, AsksShadows, Defence, Reading, Weights
from flockchain_ml.defences.memory import Memory, MemoryInvalid, NoMemory
from flockchain_ml.defences.reading import read_submission
from flockchain_ml.defences.safe_client import SafeClient, Source
from flockchain_ml.defences.safe_evidence import SafeEvidence
from flockchain_ml.defences.safe_shadow import SafeShadow
from flockchain_ml.defences.safe_step import SafeStep
from flockchain_ml.defences.undefended import Undefended
from flockchain_ml.defences.view import Claim, RoundView, Submission, ViewInvalid

__all__ = [
    "CLAIMED", "DEFENCES", "SUSPECT_WEIGHT", "AccumulatedVote", "AdvisoryProbe", "AsksShadows", "Claim", "Defence",
    "Memory", "MemoryInvalid", "NoMemory", "Reading", "RoundView", "SafeClient", "SafeEvidence", "SafeShadow",
    "SafeStep", "Source", "Submission", "Undefended", "ViewInvalid", "Weights", "find_suspects", "read_submission",
]  # fmt: skip

DEFENCES: Final[dict[str, Defence[Any]]] = {
    defence.name: defence
    for defence in (
        Undefended(),
        SafeStep(),
        SafeClient(),
        SafeClient(Source.UPLOAD),
        SafeShadow(),
        SafeEvidence(),
        AccumulatedVote(),
        AdvisoryProbe(),
    )
}
