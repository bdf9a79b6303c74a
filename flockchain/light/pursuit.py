"""The way from what is trusted to a header far ahead: which epochs' last headers to fetch, and in which order.

Near, it goes from epoch to epoch. Far, it tries to skip to the target, and where the trusted validators do not vouch
for it, to the epoch in the middle first, and so on: few headers while validators stay, and every epoch in which a new
one signs. Does no fetching: it says what it wants.
"""

from __future__ import annotations

from collections.abc import Callable

from flockchain.light.client import LightClient
from flockchain.light.light_block import LightBlock
from flockchain.light.refusals import NotEnoughTrust, VerificationFailed
from flockchain.light.trust_store import TrustedHeader
from flockchain.primitives.errors import invariant
from flockchain.primitives.limits import NEAR_EPOCHS_MAX
from flockchain.primitives.numbers import Epoch, TimestampMs

__all__ = ["Pursuit", "reach"]


class Pursuit:
    """Leads a client to `target`, one fetched light block after another.

    `wanted` is the epoch whose last header is needed next; None once the target is trusted. `hops` are the light
    blocks that were verified on the way, the target last.
    """

    def __init__(self, client: LightClient, target: LightBlock, *, near_epochs: int = NEAR_EPOCHS_MAX) -> None:
        self.wanted: Epoch | None = None
        self.hops: list[LightBlock] = []
        self._client = client
        self._near_epochs = near_epochs
        self._waiting = [target]  # the target, then ever nearer steps towards it

    def advance(self, now_ms: TimestampMs | int) -> None:
        """Verify as far as what is here allows. Raises what `LightClient.verify` raises, but for `NotEnoughTrust`."""
        self.wanted = None
        while self._waiting and self.wanted is None:
            step = self._waiting[-1]
            trusted = self._client.trusted.header
            ahead = step.header.epoch - trusted.epoch
            if 1 < ahead <= self._near_epochs:
                self.wanted = Epoch(trusted.epoch + 1)
                return
            try:
                self._client.verify(step, now_ms)
            except NotEnoughTrust:
                invariant(ahead > 1, "the next epoch needs no other's vouching", ahead=ahead)
                self.wanted = Epoch((trusted.epoch + step.header.epoch) // 2)
            else:
                self.hops.append(self._waiting.pop())

    def on_light_block(self, light_block: LightBlock, now_ms: TimestampMs | int) -> None:
        """Take the last header of the wanted epoch and go on. Raises as `advance` does."""
        invariant(self.wanted is not None, "nothing is wanted")
        if light_block.header.epoch != self.wanted:
            raise VerificationFailed(
                "a header is not of the wanted epoch", wanted=self.wanted, got=light_block.header.epoch
            )
        self._waiting.append(light_block)
        self.advance(now_ms)


def reach(
    client: LightClient, target: LightBlock, now_ms: TimestampMs | int, fetch: Callable[[Epoch], LightBlock]
) -> TrustedHeader:
    """Trust `target`; `fetch` gives the last light block of an epoch between. Raises as `LightClient.verify` does."""
    pursuit = Pursuit(client, target)
    pursuit.advance(now_ms)
    while pursuit.wanted is not None:
        pursuit.on_light_block(fetch(pursuit.wanted), now_ms)
    return client.trusted
