"""One thread, fixed seeds and deterministic kernels, so that a seed gives one result on one machine."""

from __future__ import annotations

import torch

__all__ = ["require_determinism"]


def require_determinism(seed: int) -> None:
    """Set torch to one thread and deterministic kernels, and seed its generators."""
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(seed % 2**63)
