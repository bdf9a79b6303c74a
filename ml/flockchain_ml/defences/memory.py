"""A defence's memory by trainer: records in ascending order of who they are about. Frozen, with canonical bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Generic, Protocol, TypeVar

from flockchain.primitives.codec import ListOf, Struct, VarBytes, struct
from flockchain.primitives.errors import InvalidInput
from flockchain_ml.defences.view import TRAINER_BYTES_MAX

__all__ = ["MEMORY_CODEC_TRAINER", "Memory", "MemoryInvalid", "NoMemory", "build_memory", "build_memory_codec"]

_TRAINERS_MAX: Final = 1 << 20
MEMORY_CODEC_TRAINER: Final = VarBytes(TRAINER_BYTES_MAX)


class MemoryInvalid(InvalidInput):
    """A memory that is not in canonical order."""


class _Record(Protocol):
    @property
    def trainer(self) -> bytes: ...


R = TypeVar("R", bound=_Record)


@dataclass(frozen=True, slots=True)
class Memory(Generic[R]):
    """One record a trainer that was ever seen."""

    records: tuple[R, ...] = ()

    def __post_init__(self) -> None:
        trainers = [record.trainer for record in self.records]
        if any(later <= earlier for earlier, later in pairwise(trainers)):
            raise MemoryInvalid("a memory is in ascending order of trainers", records=len(trainers))

    def get_by_trainer(self) -> dict[bytes, R]:
        """A copy to look up in."""
        return {record.trainer: record for record in self.records}


@dataclass(frozen=True, slots=True)
class NoMemory:
    """The memory of a defence that has none."""


def build_memory(by_trainer: Mapping[bytes, R]) -> Memory[R]:
    """A memory of these records."""
    return Memory(tuple(by_trainer[trainer] for trainer in sorted(by_trainer)))


def build_memory_codec(record: Struct[Any]) -> Struct[Any]:
    """The codec of a memory of such records."""
    return struct(Memory, records=ListOf(record, _TRAINERS_MAX))
