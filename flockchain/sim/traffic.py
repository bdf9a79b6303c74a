"""Users of a simulated world: transfers between development accounts, handed to whichever node is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from flockchain.crypto import ed25519
from flockchain.primitives.errors import FlockchainError
from flockchain.primitives.extrinsic import Call, ExtrinsicPayload
from flockchain.primitives.numbers import AccountId, Balance, Hash, Height, Nonce
from flockchain.replica import events
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain.runtime.extrinsics import sign_extrinsic
from flockchain.runtime.pallets.balances import Transfer

if TYPE_CHECKING:
    from flockchain.replica.replica import Replica
    from flockchain.sim.sim_node import SimNode
    from flockchain.sim.world import World

__all__ = ["LIFETIME_BLOCKS", "TRAFFIC_ACCOUNTS", "Chosen", "Traffic"]

TRAFFIC_ACCOUNTS: Final = ("user-0", "user-1", "user-2")
LIFETIME_BLOCKS: Final = 64  # in which an extrinsic may run
Chosen = tuple[int, int, Any]  # pallet, call, arguments

_EVERY_MS: Final = 300


class Traffic:
    """One transfer every 300 ms, with the nonce that the asked node expects."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.seeds = tuple(derive_dev_account(name) for name in TRAFFIC_ACCOUNTS)
        self._payee = AccountId(ed25519.get_public_key(self.seeds[0]))

    def start(self) -> None:
        self._world.schedule.add(_EVERY_MS, self._step)

    def submit(self, seed: bytes, choose: Callable[[Replica], Chosen | None]) -> None:
        """Have a random node that is up take the call that `choose` makes of its state, if any."""
        running = [node for node in self._world.nodes if node.is_running]
        if not running:
            return
        node = self._world.rng.choice(running)
        chosen = choose(node.replica) if node.replica is not None else None
        if chosen is not None:
            self.submit_to(node, seed, chosen)

    def submit_to(self, node: SimNode, seed: bytes, chosen: Chosen) -> Hash | None:
        """Have one node take a call. The hash of the extrinsic, unless it is refused."""
        replica = node.replica
        if replica is None:
            return None
        try:
            checked = replica.require_admissible(_sign(replica, seed, chosen))
        except FlockchainError:
            self._world.mark("refused extrinsic")
            return None
        self._world.mark("extrinsic")
        node.handle(events.ExtrinsicsSubmitted((checked,)))
        return checked.digest

    def _step(self) -> None:
        self._world.schedule.add(_EVERY_MS, self._step)
        transfer = Transfer(self._payee, Balance(1))
        self.submit(self._world.rng.choice(self.seeds), lambda _: (1, 0, transfer))


def _sign(replica: Replica, seed: bytes, chosen: Chosen) -> bytes:
    pallet, call, arguments = chosen
    runtime = replica.ledger.executive.runtime
    head = replica.ledger.finalized
    sender = AccountId(ed25519.get_public_key(seed))
    spent = runtime.views.get_nonce(head.state, sender)
    payload = ExtrinsicPayload(
        sender=sender,
        nonce=Nonce(replica.admission.pool.get_pending_nonce(sender, spent)),
        tip=0,
        birth=Height(head.header.height),
        lifetime_blocks=LIFETIME_BLOCKS,
        spec_version=runtime.spec_version,
        call=Call(pallet, call, runtime.calls[pallet, call].arguments.encode(arguments)),
    )
    return sign_extrinsic(seed, replica.participant.genesis_hash, payload)
