"""A task file gives back the task that it was written from, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flockchain.client.blobs import compute_root_of_bytes
from flockchain.client.task_file import TaskFileInvalid, decode_task_file, encode_task_file, split_suite
from flockchain.crypto.merkle import compute_root
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AcceptanceRule, AdapterMode, AdapterSpec, ModuleShape, TaskSpec
from flockchain.primitives.numbers import U128_MAX, Balance, Hash, MicroNats

ROWS = (b'{"prompt":"1 + 1 =","answer":"2"}', b'{"prompt":"2 + 2 =","answer":"4"}')
SUITE = b"".join(row + b"\n" for row in ROWS)
MODULES = (ModuleShape("model.layers.0.self_attn.q_proj", 96, 96, 18, 20),)
SPEC = TaskSpec(
    name="sums", base_model=Hash(bytes(range(32))),
    adapter=AdapterSpec(8, 16, AdapterMode.FFA, Hash(b"a" * 32), MODULES),
    suite_root=compute_root(ROWS), suite_rows=2, suite_blob=compute_root_of_bytes(SUITE), suite_bytes=len(SUITE),
    prompts_per_round=2, audit_rows=1, rule=AcceptanceRule.ACCUMULATED, reputation_cap=MicroNats(5000),
    mass_threshold=MicroNats(80_000), reputation_floor=MicroNats(-10_000), committee_size=4, min_updates=1,
    max_updates=8, max_update_bytes=1 << 20, submit_blocks=10, commit_blocks=10, reveal_blocks=10, aggregate_blocks=10,
    rounds=5, reward_pool=Balance(10**12), update_bond=Balance(10**9),
)  # fmt: skip


@pytest.mark.parametrize("pool", [10**12, 2**63, U128_MAX])
def test_a_written_task_reads_back_as_itself(pool: int) -> None:
    spec = replace(SPEC, reward_pool=Balance(pool))
    assert decode_task_file(encode_task_file(spec), SUITE) == spec


def test_another_suite_gives_another_root_and_count() -> None:
    spec = decode_task_file(encode_task_file(SPEC), SUITE + ROWS[0] + b"\n")
    assert spec.suite_rows == 3
    assert spec.suite_root != SPEC.suite_root


def test_the_rows_are_the_lines_without_their_newlines() -> None:
    assert split_suite(SUITE) == ROWS


@pytest.mark.parametrize("suite", [b"", b"\n", ROWS[0], SUITE + b"\n", SUITE + ROWS[0]])
def test_a_suite_that_is_not_lines_is_refused(suite: bytes) -> None:
    with pytest.raises(TaskFileInvalid):
        split_suite(suite)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (b'name = "sums"', b"", "missing"),
        (b'name = "sums"', b'name = "sums"\nextra = 1', "unknown"),
        (b'name = "sums"', b'name = "sums"\nsuite_rows = 2', "suite_rows"),
        (b'"FFA"', b'"LOHA"', "enumeration"),
        (b"committee_size = 4", b"committee_size = 70000", "out of range"),
        (b"committee_size = 4", b'committee_size = "four"', "decimal"),
        (b'name = "sums"', b"name = ", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(before: bytes, after: bytes, says: str) -> None:
    text = encode_task_file(SPEC)
    assert before in text
    with pytest.raises(InvalidInput, match=says):
        decode_task_file(text.replace(before, after), SUITE)
