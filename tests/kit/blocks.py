"""Headers and blocks with every field filled; a test names only the fields it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flockchain.crypto.hashing import (
    compute_events_root,
    compute_extrinsics_root,
    compute_inherents_root,
    compute_learning_root,
)
from flockchain.primitives.block import Block, Header
from flockchain.primitives.learning import LearningItem
from flockchain.primitives.numbers import ZERO_HASH, AccountId, Epoch, Height, TimestampMs, View

__all__ = ["build_block", "build_header"]

REVEAL = bytes(96)


def build_header(**fields: Any) -> Header:
    """A header of height 1; `fields` replace what they name."""
    header = Header(
        parent=ZERO_HASH, height=Height(1), epoch=Epoch(0), view=View(1), proposer=AccountId(bytes(32)),
        timestamp_ms=TimestampMs(1_000), state_root=ZERO_HASH, inherents_root=compute_inherents_root(REVEAL, ()),
        learning_root=compute_learning_root(()), extrinsics_root=compute_extrinsics_root(()),
        events_root=compute_events_root(()), validators_hash=ZERO_HASH, next_validators_hash=ZERO_HASH, spec_version=1,
    )  # fmt: skip
    return replace(header, **fields)


def build_block(
    *,
    reveal: bytes = REVEAL,
    evidence: tuple[bytes, ...] = (),
    learning: tuple[LearningItem, ...] = (),
    extrinsics: tuple[bytes, ...] = (),
    **fields: Any,
) -> Block:
    """A block whose roots over its body are right; `fields` are the header's."""
    roots = {
        "inherents_root": compute_inherents_root(reveal, evidence),
        "learning_root": compute_learning_root(learning),
        "extrinsics_root": compute_extrinsics_root(extrinsics),
    }
    return Block(build_header(**{**roots, **fields}), reveal, evidence, learning, extrinsics)
