"""Drafts a task over anybody's base model folder and anybody's rows: the file that `flockchain task create` takes.

Knows which layers a base has and whether the rows fit it. What a task pays, how long its phases are and when its votes
act is a matter of taste: the draft has values for a small network, to be read and changed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flockchain.client.task_file import encode_task_file, split_suite
from flockchain.exact import compute_update_bytes
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, TaskSpec
from flockchain.primitives.limits import AUDIT_ROWS_MAX, COMMITTEE_MAX
from flockchain.primitives.numbers import ZERO_HASH, Balance, Hash, MicroNats
from flockchain_ml.models import build_adapter_spec, find_linear_modules, load_model, tokenise_rows
from flockchain_ml.rows import decode_row

__all__ = ["Draft", "DraftImpossible", "draft_task"]

_FLOCK: Final = 10**9
_PROMPTS_MAX: Final = 512  # of a draft; more prompts judge better and cost more
_AUDIT_ROWS: Final = 4
_B_SCALE_BITS: Final = 14  # B and its changes lie within +-2
_HEAD: Final = (
    "# A task, drafted. Amounts are base units: 1 FLOCK is 10^9. Lengths of phases are in blocks; a phase ends early\n"
    "# when it is complete. reputation_cap, mass_threshold and reputation_floor are micro-nats per token: when the\n"
    "# accumulated harm of a round's trainers exceeds mass_threshold, those below reputation_floor are left out.\n"
)


class DraftImpossible(InvalidInput):
    """The rows and the rounds do not make a task."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the draft must know. No `targets`: every linear layer but the head. No `prompts`: what the suite has."""

    model: Path
    suite: Path
    name: str
    rounds: int
    trainers: int
    rank: int
    mode: str
    targets: tuple[str, ...] = ()
    prompts: int = 0


def draft_task(draft: Draft) -> tuple[bytes, dict[str, Any]]:
    """The task's file, and what there is to say of it. Raises `InvalidInput` for a base or rows that will not do."""
    loaded = load_model(draft.model)
    lines = split_suite(draft.suite.read_bytes())
    prompts = draft.prompts or min(_PROMPTS_MAX, len(lines) // draft.rounds)
    if prompts * draft.rounds > len(lines) or not prompts:
        raise DraftImpossible(
            "each round draws rows that no round drew before", rows=len(lines), rounds=draft.rounds, prompts=prompts
        )
    tokenise_rows(loaded.tokenizer, [decode_row(line) for line in lines], tokens_max=loaded.tokens_max)
    targets = draft.targets or tuple(find_linear_modules(loaded.model))
    adapter = build_adapter_spec(
        loaded, targets=targets, rank=draft.rank, alpha=2 * draft.rank, mode=AdapterMode[draft.mode.upper()],
        a_seed=Hash(secrets.token_bytes(32)), b_scale_bits=_B_SCALE_BITS,
    )  # fmt: skip
    update_bytes = compute_update_bytes(adapter)
    spec = TaskSpec(
        name=draft.name, base_model=loaded.digest, adapter=adapter, suite_root=ZERO_HASH, suite_rows=0,
        suite_blob=ZERO_HASH, suite_bytes=0, prompts_per_round=prompts,
        audit_rows=min(_AUDIT_ROWS, AUDIT_ROWS_MAX, prompts), rule=AcceptanceRule.ACCUMULATED,
        reputation_cap=MicroNats(5_000), mass_threshold=MicroNats(90_000), reputation_floor=MicroNats(-20_000),
        committee_size=COMMITTEE_MAX, min_updates=1, max_updates=draft.trainers, max_update_bytes=update_bytes,
        submit_blocks=1_500, commit_blocks=1_500, reveal_blocks=200, aggregate_blocks=300, rounds=draft.rounds,
        reward_pool=Balance(1_000 * _FLOCK), update_bond=Balance(50 * _FLOCK),
    )  # fmt: skip
    about = {
        "base_model": loaded.digest, "layers": len(adapter.modules), "update_bytes": update_bytes,
        "suite_rows": len(lines), "prompts_per_round": prompts, "rounds": draft.rounds,
    }  # fmt: skip
    return _HEAD.encode() + encode_task_file(spec), about
