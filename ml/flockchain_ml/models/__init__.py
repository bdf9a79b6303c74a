"""Base models: loading a local folder safely, adapters on its layers, rows as batches, and a tiny base of our own."""

from __future__ import annotations

from flockchain_ml.models.adapters import (
    AdapterUnfit,
    Slot,
    attached_adapters,
    build_adapter_spec,
    find_linear_modules,
    require_fit,
)
from flockchain_ml.models.batches import (
    Batch,
    RowTooLong,
    TokenisedRow,
    build_batch,
    compute_answer_losses,
    compute_matches,
    tokenise_rows,
)
from flockchain_ml.models.determinism import require_determinism
from flockchain_ml.models.folder import FolderRefused, compute_folder_digest, require_safe_folder
from flockchain_ml.models.loader import LoadedModel, Quantisation, get_tiny_folder, load_model
from flockchain_ml.models.packing import (
    Layout,
    Pack,
    choose_layout,
    compute_client_losses,
    is_keeping_rows_apart,
    pack_rows,
)
from flockchain_ml.models.stacks import Stack, attached_stack

__all__ = [
    "AdapterUnfit", "Batch", "FolderRefused", "Layout", "LoadedModel", "Pack", "Quantisation", "RowTooLong", "Slot",
    "Stack", "TokenisedRow", "attached_adapters", "attached_stack", "build_adapter_spec", "build_batch",
    "choose_layout", "compute_answer_losses", "compute_client_losses", "compute_folder_digest", "compute_matches",
    "find_linear_modules", "get_tiny_folder", "is_keeping_rows_apart", "load_model", "pack_rows",
    "require_determinism", "require_fit", "require_safe_folder", "tokenise_rows",
]  # fmt: skip
