"""The calls that people make most, with typed arguments. Any other goes by name: `CallRequest("pallet.call", {...})`.

await client.extrinsics.submit(calls.transfer(bob, 5), account=alice)
"""

from __future__ import annotations

from flockchain.client.metadata import CallRequest
from flockchain.primitives.learning import TaskSpec
from flockchain.primitives.numbers import AccountId, Balance, Hash, NodeId, Round, Stake, TaskId

__all__ = [
    "bond", "bond_extra", "cancel_task", "chill", "create_task", "delegate", "leave", "resume", "submit_update",
    "transfer", "transfer_all", "unbond", "undelegate", "withdraw",
]  # fmt: skip


def transfer(target: AccountId, amount: Balance | int) -> CallRequest:
    """Pay `amount` base units to an account."""
    return CallRequest("balances.transfer", {"target": target, "amount": amount})


def transfer_all(target: AccountId) -> CallRequest:
    """Pay everything that is left after the fee."""
    return CallRequest("balances.transfer_all", {"target": target})


def bond(
    amount: Stake | int, *, commission_bps: int, node_id: NodeId, score_key: bytes, consensus_key: bytes,
    consensus_proof: bytes, certificate_key: bytes, certificate_proof: bytes,
) -> CallRequest:  # fmt: skip
    """Become a validator. The proofs are BLS proofs of possession of the two BLS keys."""
    return CallRequest(
        "staking.bond",
        {
            "amount": amount, "commission_bps": commission_bps, "node_id": node_id, "score_key": score_key,
            "consensus_key": consensus_key, "consensus_proof": consensus_proof, "certificate_key": certificate_key,
            "certificate_proof": certificate_proof,
        },
    )  # fmt: skip


def bond_extra(amount: Stake | int) -> CallRequest:
    """Add to one's own stake."""
    return CallRequest("staking.bond_extra", {"amount": amount})


def unbond(amount: Stake | int) -> CallRequest:
    """Take stake out; it is free after the unbonding period."""
    return CallRequest("staking.unbond", {"amount": amount})


def delegate(validator: AccountId, amount: Stake | int) -> CallRequest:
    """Add stake to another's pool."""
    return CallRequest("staking.delegate", {"validator": validator, "amount": amount})


def undelegate(validator: AccountId, amount: Stake | int) -> CallRequest:
    """Take delegated stake out."""
    return CallRequest("staking.undelegate", {"validator": validator, "amount": amount})


def withdraw(validator: AccountId) -> CallRequest:
    """Collect what has finished unbonding from a validator's pool."""
    return CallRequest("staking.withdraw", {"validator": validator})


def chill() -> CallRequest:
    """Be no candidate for later validator sets."""
    return CallRequest("staking.chill", {})


def resume() -> CallRequest:
    """Be a candidate again."""
    return CallRequest("staking.resume", {})


def leave() -> CallRequest:
    """Stop validating and unbond everything."""
    return CallRequest("staking.leave", {})


def create_task(spec: TaskSpec) -> CallRequest:
    """Create a learning task and fund its pool."""
    return CallRequest("tasks.create", {"spec": spec})


def cancel_task(task: TaskId | int) -> CallRequest:
    """Take a task back before its first update."""
    return CallRequest("tasks.cancel", {"task": task})


def submit_update(task: TaskId | int, round: Round | int, blob: Hash, size_bytes: int, digest: Hash) -> CallRequest:
    """Commit to an update in the current round of a task."""
    arguments = {"task": task, "round": round, "blob": blob, "size_bytes": size_bytes, "digest": digest}
    return CallRequest("updates.submit", arguments)
