"""Domain numbers: what an integer or a string of bytes means when it crosses a module.

All are integers or bytes at run time (`NewType`), so they cost nothing; mypy keeps them apart.
"""

from __future__ import annotations

from typing import Final, NewType

__all__ = [
    "BPS",
    "HASH_BYTES",
    "U64_MAX",
    "U128_MAX",
    "ZERO_HASH",
    "AccountId",
    "Balance",
    "Epoch",
    "Hash",
    "Height",
    "MicroNats",
    "NodeId",
    "Nonce",
    "Round",
    "Score",
    "Stake",
    "TaskId",
    "TimestampMs",
    "UpdateIndex",
    "View",
    "is_more_than_one_third",
    "is_quorum",
]  # fmt: skip

Height = NewType("Height", int)  # blocks since genesis (genesis is 0), unsigned 64 bit
View = NewType("View", int)  # consensus view inside an epoch; view 0 is the epoch's anchor, unsigned 64 bit
Epoch = NewType("Epoch", int)  # unsigned 64 bit
Round = NewType("Round", int)  # learning round inside a task, from 0, unsigned 32 bit
TaskId = NewType("TaskId", int)  # unsigned 32 bit
UpdateIndex = NewType("UpdateIndex", int)  # position of an update in its round's closed set, unsigned 16 bit
Nonce = NewType("Nonce", int)  # extrinsics already executed for an account, unsigned 64 bit
Stake = NewType("Stake", int)  # base units, unsigned 128 bit
Balance = NewType("Balance", int)  # base units, unsigned 128 bit
Score = NewType("Score", int)  # micro-nats per token of loss improvement, signed 64 bit
MicroNats = NewType("MicroNats", int)  # 1e-6 nat, signed 64 bit
TimestampMs = NewType("TimestampMs", int)  # Unix time in milliseconds, unsigned 64 bit

Hash = NewType("Hash", bytes)  # SHA-256, 32 bytes
AccountId = NewType("AccountId", bytes)  # ed25519 public key of an account, 32 bytes
NodeId = NewType("NodeId", bytes)  # ed25519 public key of a node, 32 bytes

HASH_BYTES: Final = 32
ZERO_HASH: Final = Hash(bytes(HASH_BYTES))
U64_MAX: Final = 2**64 - 1
U128_MAX: Final = 2**128 - 1
BPS: Final = 10_000  # basis points in a whole


def is_quorum(part: int, total: int) -> bool:
    """Whether `part` is strictly more than two thirds of `total` (PROTOCOL §2), in integers."""
    return 3 * part > 2 * total


def is_more_than_one_third(part: int, total: int) -> bool:
    """Whether `part` is strictly more than one third of `total`: a blocking minority."""
    return 3 * part > total
