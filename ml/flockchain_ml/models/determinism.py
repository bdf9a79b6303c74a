"""A fixed number of threads, fixed seeds and deterministic kernels, so that a seed gives one result on one machine."""

from __future__ import annotations

import torch
from torch.utils import deterministic

__all__ = ["require_determinism"]


def require_determinism(seed: int, threads: int = 1) -> None:
    """Set torch to so many threads and to deterministic kernels, and seed its generators."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads a tensor before it has written it. The module gives itself this attribute at run time.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed % 2**63)
