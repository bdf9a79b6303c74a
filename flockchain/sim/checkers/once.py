"""An extrinsic runs at most once, and an account's extrinsics run in the order of their nonces, none left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from flockchain.primitives.codec import U64
from flockchain.primitives.extrinsic import SIGNED_EXTRINSIC
from flockchain.runtime.ledger import ExecutedBlock
from flockchain.sim.checkers.checker import Checker, Violation

if TYPE_CHECKING:
    from flockchain.sim.sim_node import SimNode

__all__ = ["Once"]


class Once(Checker):
    """Counts along with every account."""

    def __init__(self) -> None:
        self._run: set[bytes] = set()
        self._nonces: dict[bytes, int] = {}

    def on_block(self, node: SimNode, executed: ExecutedBlock, state: Mapping[bytes, bytes]) -> Iterable[Violation]:
        where = f"at height {executed.header.height}"
        for raw in executed.block.extrinsics:
            digest = sha256(raw).digest()
            if digest in self._run:
                yield Violation("once", f"an extrinsic ran again {where}")
            self._run.add(digest)
            payload = SIGNED_EXTRINSIC.decode(raw).payload
            expected = self._nonces.get(payload.sender, 0)
            if payload.nonce != expected:
                yield Violation("once", f"nonce {payload.nonce} ran in the place of {expected} {where}")
            if not payload.birth < executed.header.height <= payload.birth + payload.lifetime_blocks:
                yield Violation("once", f"an extrinsic ran outside its life {where}")
            self._nonces[payload.sender] = payload.nonce + 1
        for account, nonce in self._nonces.items():
            if state.get(b"system/nonce/" + account) != U64.encode(nonce):
                yield Violation("once", f"the state does not count {nonce} extrinsics of an account {where}")
