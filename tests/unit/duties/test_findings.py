"""Objective findings: by bytes alone, before any evaluator sees anything."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from flockchain.duties import compute_findings
from flockchain.exact import compute_initial_a, decode_update, encode_update
from flockchain.primitives.learning import AdapterMode, UpdateRecord, UpdateStatus
from flockchain.primitives.numbers import AccountId, Balance, Hash
from tests.kit.learning import build_adapter, build_update

ADAPTER = build_adapter()
MALFORMED, DUPLICATE, UNAVAILABLE = UpdateStatus.MALFORMED, UpdateStatus.DUPLICATE, UpdateStatus.UNAVAILABLE


def commit_to(data: bytes) -> UpdateRecord:
    digest = Hash(hashlib.sha256(data).digest())
    return UpdateRecord(AccountId(bytes(32)), digest, len(data), digest, Balance(1))


def find(*blobs: bytes) -> tuple[UpdateStatus | None, ...]:
    return compute_findings(ADAPTER, [commit_to(data) for data in blobs], blobs)


def test_good_updates_are_candidates() -> None:
    assert find(*[build_update(ADAPTER, seed) for seed in range(4)]) == (None,) * 4
    assert compute_findings(ADAPTER, (), ()) == ()


def test_bytes_that_could_not_be_had_are_unavailable() -> None:
    data = build_update(ADAPTER, 1)
    assert compute_findings(ADAPTER, [commit_to(data)] * 2, [None, data]) == (UNAVAILABLE, None)


def test_what_does_not_decode_is_malformed() -> None:
    good = build_update(ADAPTER, 1)
    wide = build_update(build_adapter(rank=3), 1)
    assert find(good[:-1], good + b"\0", b"", b"\x80\x04.", wide, good) == (MALFORMED,) * 5 + (None,)


def test_other_bytes_than_committed_are_malformed() -> None:
    data, other = build_update(ADAPTER, 1), build_update(ADAPTER, 2)
    record = commit_to(data)
    assert compute_findings(ADAPTER, [record], [other]) == (MALFORMED,)
    assert compute_findings(ADAPTER, [replace(record, size_bytes=len(data) + 1)], [data]) == (MALFORMED,)


def test_copies_and_near_copies_are_duplicates_of_the_first() -> None:
    data = build_update(ADAPTER, 1)
    near = encode_update({name: tensor + np.int16(1) for name, tensor in decode_update(data, ADAPTER).items()}, ADAPTER)
    assert find(data, build_update(ADAPTER, 2), near, data) == (None, None, DUPLICATE, DUPLICATE)
    assert find(near, data) == (None, DUPLICATE)


def test_stacked_updates_are_duplicates_by_their_products_and_not_by_the_start_that_they_share() -> None:
    adapter = build_adapter(AdapterMode.STACK)
    start = {name: tensor >> 3 for name, tensor in compute_initial_a(adapter).items()}
    trained = [decode_update(build_update(adapter, seed), adapter) for seed in (1, 2)]
    first, second = ({name: start.get(name, tensor // 90) for name, tensor in part.items()} for part in trained)
    turned = {name: -tensor for name, tensor in first.items()}  # the same product
    blobs = [encode_update(part, adapter) for part in (first, second, turned)]
    assert compute_findings(adapter, [commit_to(data) for data in blobs], blobs) == (None, None, DUPLICATE)


def test_a_missing_or_malformed_original_makes_no_duplicates() -> None:
    data = build_update(ADAPTER, 1)
    records = [commit_to(data)] * 2
    assert compute_findings(ADAPTER, records, [None, data]) == (UNAVAILABLE, None)
    assert compute_findings(ADAPTER, [replace(records[0], size_bytes=3), records[1]], [data, data]) == (MALFORMED, None)
