"""The statistics that there are. A new one is one file and one line here."""

from __future__ import annotations

from typing import Final

from flockchain_ml.probes.agreement import Agreement
from flockchain_ml.probes.concentration import Concentration
from flockchain_ml.probes.log_norm import LogNorm, Over
from flockchain_ml.probes.nearness import Nearness
from flockchain_ml.probes.norm import RelativeNorm
from flockchain_ml.probes.opposition import Opposition
from flockchain_ml.probes.probe import Probe

__all__ = ["PROBES"]

PROBES: Final[dict[str, Probe]] = {
    probe.name: probe
    for probe in (
        RelativeNorm(),
        Agreement(),
        Opposition(),
        LogNorm(Over.HIGHEST),
        LogNorm(Over.LOWEST),
        LogNorm(Over.MEAN),
        Concentration(),
        Nearness(),
    )
}
