"""The validator sets of past epochs, for light clients: the state forgets them, a trail of headers needs them.

Every set is written down when it is first seen, while the state still has it. Without a folder they are kept in
memory, the last ones only. Knows nothing of headers; whoever asks compares the set's hash with a header's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flockchain.primitives.numbers import Epoch, Height
from flockchain.primitives.validator_set import VALIDATOR_SET, ValidatorSet
from flockchain.rpc.backend import FinalizedChain
from flockchain.rpc.heads import HeadBroadcast, SlowReader
from flockchain.runtime.pallets.staking import EpochUnknown
from flockchain.runtime.views import Views
from flockchain.storage.disk import disk_faults, make_folder, replace_file

__all__ = ["EpochSets"]

_IN_MEMORY_MAX: Final = 1024


class EpochSets:
    """Reads a set from the state, or from what was written down when the state had it."""

    def __init__(self, chain: FinalizedChain, views: Views, folder: Path | None = None) -> None:
        self._chain = chain
        self._views = views
        self._folder = folder
        self._kept: dict[Epoch, bytes] = {}
        self._next = Epoch(0)
        if folder is not None:
            make_folder(folder)

    def get(self, epoch: Epoch) -> ValidatorSet:
        """The set of an epoch. Raises `EpochUnknown`."""
        try:
            return self._views.get_validator_set(self._chain.state, epoch)
        except EpochUnknown:
            kept = self._read(epoch)
            if kept is None:
                raise
            return VALIDATOR_SET.decode(kept)

    def record(self, height: Height) -> None:
        """Keep every set that the state at `height` knows and that is not kept yet."""
        last = Epoch(self._views.get_epoch(height) + 1)
        for number in range(self._next, last + 1):
            epoch = Epoch(number)
            try:
                members = self._views.get_validator_set(self._chain.state, epoch)
            except EpochUnknown:
                continue  # forgotten before this node began to write sets down
            self._write(epoch, VALIDATOR_SET.encode(members))
        self._next = max(self._next, Epoch(last + 1))

    async def follow(self, heads: HeadBroadcast, get_height: Callable[[], Height]) -> None:
        """Record from now on, until the node stops. A reader that was cut off has missed nothing: it looks again."""
        while True:
            with heads.subscribe() as reader:
                self.record(get_height())
                try:
                    async for reached in reader:
                        self.record(reached)
                except SlowReader:
                    continue
            return

    def _read(self, epoch: Epoch) -> bytes | None:
        if self._folder is None:
            return self._kept.get(epoch)
        file = self._get_file(self._folder, epoch)
        with disk_faults(file):
            return file.read_bytes() if file.exists() else None

    def _write(self, epoch: Epoch, encoded: bytes) -> None:
        if self._folder is not None:
            file = self._get_file(self._folder, epoch)
            if not file.exists():
                replace_file(file, encoded)
            return
        self._kept[epoch] = encoded
        if len(self._kept) > _IN_MEMORY_MAX:
            del self._kept[next(iter(self._kept))]

    def _get_file(self, folder: Path, epoch: Epoch) -> Path:
        return folder / f"{epoch}.validators"
