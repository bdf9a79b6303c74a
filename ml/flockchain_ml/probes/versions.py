"""The integer probes that are shipped, each known by the digest of its canonical file.

`python -m flockchain_ml.experiments.probe_training integer` fits one. A new version is a record; old ones stay.
"""

from __future__ import annotations

from typing import Final

from flockchain.primitives.numbers import Hash
from flockchain_ml.probes.integer_probe import IntegerProbe
from flockchain_ml.probes.probe_file import compute_probe_digest

__all__ = ["LATEST", "VERSIONS"]

# --attacks backdoor,replacement,sign-flip,label-flip,noise,rare-poison-25 --seeds 2 --rounds 2
_FIRST: Final = IntegerProbe(
    statistics=(
        "relative-norm",
        "agreement",
        "opposition",
        "log-norm-highest",
        "log-norm-lowest",
        "log-norm-mean",
        "concentration",
        "nearness",
    ),
    weights=(10749, 209546, 2194603, 39591, 39323, 40261, 1321840, 214437),
    bias=-409448262,
    threshold=-48530913,
)

LATEST: Final = _FIRST
VERSIONS: Final[dict[Hash, IntegerProbe]] = {compute_probe_digest(probe): probe for probe in (_FIRST,)}
