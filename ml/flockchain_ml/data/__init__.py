"""Rows of prompt and answer: four templated domains, any JSONL, seeded partitions over trainers.

A new domain is one file and one line in `DOMAINS`, or in `FURTHER_DOMAINS` if only some tasks have it.
"""

from __future__ import annotations

from typing import Final

from flockchain_ml.data.arithmetic import ARITHMETIC
from flockchain_ml.data.domain import Domain
from flockchain_ml.data.partition import compute_seed, generate_shard, generate_suite, is_held_out, mix_in
from flockchain_ml.data.requests import REQUESTS
from flockchain_ml.data.sentiment import SENTIMENT
from flockchain_ml.data.strings import STRINGS
from flockchain_ml.data.units import UNITS
from flockchain_ml.rows import (
    Row,
    RowInvalid,
    decode_row,
    decode_suite,
    encode_row,
    encode_suite,
    read_rows,
    write_rows,
)

__all__ = [
    "DOMAINS", "FURTHER_DOMAINS", "Domain", "Row", "RowInvalid", "compute_seed", "decode_row", "decode_suite",
    "encode_row", "encode_suite", "generate_shard", "generate_suite", "is_held_out", "mix_in", "read_rows",
    "write_rows",
]  # fmt: skip

DOMAINS: Final[tuple[Domain, ...]] = (ARITHMETIC, UNITS, STRINGS, SENTIMENT)
FURTHER_DOMAINS: Final[dict[str, Domain]] = {REQUESTS.name: REQUESTS}
