"""Light integer statistics of a round's updates, advisory only. A new probe is one file and one line in `PROBES`."""

from __future__ import annotations

from typing import Final

from flockchain_ml.probes.agreement import Agreement
from flockchain_ml.probes.norm import RelativeNorm
from flockchain_ml.probes.probe import PARTS, IntegerTensors, Probe

__all__ = ["PARTS", "PROBES", "Agreement", "IntegerTensors", "Probe", "RelativeNorm"]

PROBES: Final[dict[str, Probe]] = {probe.name: probe for probe in (RelativeNorm(), Agreement())}
