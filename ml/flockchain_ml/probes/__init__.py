"""Light statistics of a round's updates and models over them, advisory only.

`PROBES` are exact integers and coordinate-free; a new one is one file and one line in `table.py`. `IntegerProbe` is our
model over them, `LogisticProbe` is Safe-FedLLM's over raw ΔB. `fitting` makes either and is the part that needs torch.
"""

from __future__ import annotations

from flockchain_ml.probes.agreement import Agreement
from flockchain_ml.probes.concentration import Concentration
from flockchain_ml.probes.features import FeatureInvalid, compute_feature, find_first_layer
from flockchain_ml.probes.integer_probe import IntegerProbe, Judgement, compute_statistics_table
from flockchain_ml.probes.log_norm import LogNorm, Over, compute_log2
from flockchain_ml.probes.logistic import HARM_THRESHOLD, LogisticProbe, ProbeInvalid, ProbeModule
from flockchain_ml.probes.metrics import (
    BENIGN,
    MetricInvalid,
    Split,
    compute_auc,
    compute_fpr_at_tpr,
    split_leave_one_out,
)
from flockchain_ml.probes.nearness import Nearness
from flockchain_ml.probes.norm import RelativeNorm
from flockchain_ml.probes.opposition import Opposition
from flockchain_ml.probes.probe import PARTS, IntegerTensors, Probe
from flockchain_ml.probes.probe_file import (
    ProbeFileInvalid,
    compute_probe_digest,
    decode_probe,
    encode_probe,
    read_probe,
    write_probe,
)
from flockchain_ml.probes.table import PROBES

__all__ = [
    "BENIGN", "HARM_THRESHOLD", "PARTS", "PROBES", "Agreement", "Concentration", "FeatureInvalid", "IntegerProbe",
    "IntegerTensors", "Judgement", "LogNorm", "LogisticProbe", "MetricInvalid", "Nearness", "Opposition", "Over",
    "Probe", "ProbeFileInvalid", "ProbeInvalid", "ProbeModule", "RelativeNorm", "Split", "compute_auc",
    "compute_feature", "compute_fpr_at_tpr", "compute_log2", "compute_probe_digest", "compute_statistics_table",
    "decode_probe", "encode_probe", "find_first_layer", "read_probe", "split_leave_one_out", "write_probe",
]  # fmt: skip
