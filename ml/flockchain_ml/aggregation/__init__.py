"""Which updates make the next model, and how: one rule a file, all over the same bytes.

A new rule is one file and one line in `RULES`.
"""

from __future__ import annotations

from typing import Final

from flockchain_ml.aggregation.accumulated import Accumulated, compute_accepted, compute_reputations
from flockchain_ml.aggregation.dnc import DivideAndConquer
from flockchain_ml.aggregation.fedadagrad import FedAdagrad
from flockchain_ml.aggregation.fedadam import FedAdam
from flockchain_ml.aggregation.fedavg import FedAvg
from flockchain_ml.aggregation.fedavgm import FedAvgM
from flockchain_ml.aggregation.fedprox import FedProx
from flockchain_ml.aggregation.fedyogi import FedYogi
from flockchain_ml.aggregation.flame import Flame
from flockchain_ml.aggregation.foolsgold import FoolsGold
from flockchain_ml.aggregation.geometric_median import GeometricMedian
from flockchain_ml.aggregation.krum import Krum
from flockchain_ml.aggregation.lasa import Lasa
from flockchain_ml.aggregation.median import CoordinateMedian
from flockchain_ml.aggregation.multi_krum import MultiKrum
from flockchain_ml.aggregation.norm_clip import NormClip
from flockchain_ml.aggregation.residual import Residual
from flockchain_ml.aggregation.rule import (
    NO_HOOK,
    AggregationRule,
    ClientHook,
    RoundInput,
    RoundOutcome,
    RuleCard,
    RuleUnfit,
    Told,
    aggregate_updates,
    append_round,
    build_client_hook,
)
from flockchain_ml.aggregation.scaffold import Scaffold
from flockchain_ml.aggregation.state import StateInvalid
from flockchain_ml.aggregation.trimmed_mean import TrimmedMean

__all__ = [
    "NO_HOOK", "RULES", "Accumulated", "AggregationRule", "ClientHook", "CoordinateMedian", "DivideAndConquer",
    "FedAdagrad", "FedAdam", "FedAvg", "FedAvgM", "FedProx", "FedYogi", "Flame", "FoolsGold", "GeometricMedian", "Krum",
    "Lasa", "MultiKrum", "NormClip", "Residual", "RoundInput", "RoundOutcome", "RuleCard", "RuleUnfit", "Scaffold",
    "StateInvalid", "Told", "TrimmedMean", "aggregate_updates", "append_round", "build_client_hook", "compute_accepted",
    "compute_reputations",
]  # fmt: skip

RULES: Final[dict[str, AggregationRule]] = {
    FedAvg.name: FedAvg(),
    FedProx.name: FedProx(),
    Scaffold.name: Scaffold(),
    FedAvgM.name: FedAvgM(),
    FedAdagrad.name: FedAdagrad(),
    FedYogi.name: FedYogi(),
    FedAdam.name: FedAdam(),
    CoordinateMedian.name: CoordinateMedian(),
    TrimmedMean.name: TrimmedMean(),
    Krum.name: Krum(),
    MultiKrum.name: MultiKrum(),
    GeometricMedian.name: GeometricMedian(),
    FoolsGold.name: FoolsGold(),
    Residual.name: Residual(),
    DivideAndConquer.name: DivideAndConquer(),
    Flame.name: Flame(),
    Lasa.name: Lasa(),
    "clipped-fedavg": NormClip(FedAvg()),
    Accumulated.name: Accumulated(),
}
