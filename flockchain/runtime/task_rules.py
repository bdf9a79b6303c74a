"""What a task may fix: every field of a `TaskSpec` against the limits, and the fields against one another.

Knows numbers and names; not the creator's purse, nor what a base model is.
"""

from __future__ import annotations

from itertools import pairwise

from flockchain.exact import compute_aggregate_bytes, compute_update_bytes
from flockchain.primitives.errors import Refused
from flockchain.primitives.learning import AdapterSpec, TaskSpec
from flockchain.primitives.limits import (
    ADAPTER_MODULES_MAX,
    AUDIT_ROWS_MAX,
    BLOB_BYTES_MAX,
    COMMITTEE_MAX,
    FEATURES_MAX,
    LORA_RANK_MAX,
    PHASE_BLOCKS_MAX,
    PROMPTS_PER_ROUND_MAX,
    SCALE_BITS_MAX,
    SCORE_ABS_MAX,
    SUITE_ROWS_MAX,
    TASK_ROUNDS_MAX,
    UPDATES_PER_ROUND_MAX,
)

__all__ = ["TaskSpecRefused", "require_task_spec"]

_ALPHA_MAX = 1 << 15


class TaskSpecRefused(Refused):
    """A task that breaks a limit or contradicts itself."""


def require_task_spec(spec: TaskSpec) -> None:
    """Refuse a task that could not run: each field in its range, and every update and aggregate within a blob."""
    _require_text("name", spec.name)
    _require_adapter(spec.adapter)
    _require_range("suite_rows", spec.suite_rows, 1, SUITE_ROWS_MAX)
    _require_range("suite_bytes", spec.suite_bytes, 1, BLOB_BYTES_MAX)
    _require_range("prompts_per_round", spec.prompts_per_round, 1, min(PROMPTS_PER_ROUND_MAX, spec.suite_rows))
    _require_range("audit_rows", spec.audit_rows, 1, min(AUDIT_ROWS_MAX, spec.prompts_per_round))
    _require_range("reputation_cap", spec.reputation_cap, 0, SCORE_ABS_MAX)
    _require_range("mass_threshold", spec.mass_threshold, 0, SCORE_ABS_MAX)
    _require_range("reputation_floor", spec.reputation_floor, -SCORE_ABS_MAX, 0)
    _require_range("committee_size", spec.committee_size, 1, COMMITTEE_MAX)
    _require_range("max_updates", spec.max_updates, 1, UPDATES_PER_ROUND_MAX)
    _require_range("min_updates", spec.min_updates, 1, spec.max_updates)
    _require_range("max_update_bytes", spec.max_update_bytes, compute_update_bytes(spec.adapter), BLOB_BYTES_MAX)
    _require_range("bytes of an aggregate", compute_aggregate_bytes(spec.adapter, spec.max_updates), 1, BLOB_BYTES_MAX)
    for name in ("submit_blocks", "commit_blocks", "reveal_blocks", "aggregate_blocks"):
        _require_range(name, getattr(spec, name), 1, PHASE_BLOCKS_MAX)
    _require_range("rounds", spec.rounds, 1, TASK_ROUNDS_MAX)
    if spec.reward_pool < spec.rounds:
        raise TaskSpecRefused("the pool has less than one unit a round", pool=spec.reward_pool, rounds=spec.rounds)
    if not spec.update_bond:
        raise TaskSpecRefused("an update needs a bond, for it caps what the update can earn", bond=spec.update_bond)


def _require_adapter(adapter: AdapterSpec) -> None:
    _require_range("rank", adapter.rank, 1, LORA_RANK_MAX)
    _require_range("alpha", adapter.alpha, 1, _ALPHA_MAX)
    _require_range("number of modules", len(adapter.modules), 1, ADAPTER_MODULES_MAX)
    names = [module.name for module in adapter.modules]
    if any(first >= second for first, second in pairwise(names)):
        raise TaskSpecRefused("modules must be in ascending order of name, none twice", modules=len(names))
    for module in adapter.modules:
        _require_text("module name", module.name)
        _require_range("out_features", module.out_features, 1, FEATURES_MAX)
        _require_range("in_features", module.in_features, 1, FEATURES_MAX)
        _require_range("a_scale_bits", module.a_scale_bits, 0, SCALE_BITS_MAX)
        _require_range("b_scale_bits", module.b_scale_bits, 0, SCALE_BITS_MAX)


def _require_range(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise TaskSpecRefused("a field of the task is out of range", field=field, least=least, most=most, got=value)


def _require_text(field: str, text: str) -> None:
    """Printable ASCII without quotes and backslashes: the same text in JSON, TOML, shells and logs."""
    if not text or any(not " " <= character <= "~" or character in "\"'\\" for character in text):
        raise TaskSpecRefused("a name must be printable ASCII without quotes", field=field, got=ascii(text))
