"""Adapters as fixed-point integers: decode, check, add up. The exact tier: the same bits on every machine.

Numpy integers only, no float and no torch. It knows bytes and shapes; it knows no chain, no vote and no model.
"""

from flockchain.exact.adapter_file import (
    AdapterFileError,
    compute_aggregate_bytes,
    compute_update_bytes,
    decode_aggregate,
    decode_update,
    encode_aggregate,
    encode_update,
)
from flockchain.exact.aggregate import STACK_EXTRA_SCALE_BITS, AggregateError, compute_aggregate, stream_aggregate
from flockchain.exact.copies import NEAR_COPY_COSINE, Originals, compute_copied_index
from flockchain.exact.initial import compute_a_scale_bits, compute_initial_a
from flockchain.exact.products import compute_gram, compute_inner_product
from flockchain.exact.refactorisation import (
    ModuleResidual,
    RefactorisationError,
    ResidualBound,
    compute_residuals,
    require_refactorisation,
)
from flockchain.exact.rounding import divide_half_even
from flockchain.exact.source import BytesSource, Source

__all__ = [
    "NEAR_COPY_COSINE",
    "STACK_EXTRA_SCALE_BITS",
    "AdapterFileError",
    "AggregateError",
    "BytesSource",
    "ModuleResidual",
    "Originals",
    "RefactorisationError",
    "ResidualBound",
    "Source",
    "compute_a_scale_bits",
    "compute_aggregate",
    "compute_aggregate_bytes",
    "compute_copied_index",
    "compute_gram",
    "compute_initial_a",
    "compute_inner_product",
    "compute_residuals",
    "compute_update_bytes",
    "decode_aggregate",
    "decode_update",
    "divide_half_even",
    "encode_aggregate",
    "encode_update",
    "require_refactorisation",
    "stream_aggregate",
]
