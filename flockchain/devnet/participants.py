"""Who took part, what each has at stake, and what the rounds brought each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flockchain.client import Client
from flockchain.crypto import ed25519
from flockchain.devnet.plan import DevnetPlan
from flockchain.devnet.rounds_report import count_verdicts
from flockchain.primitives.numbers import AccountId, Balance, Stake
from flockchain.primitives.rounds import RoundRecord
from flockchain.runtime.stake_ledger import POOLS

__all__ = ["describe_participants", "get_balances"]


def get_balances(client: Client, plan: DevnetPlan) -> dict[AccountId, int]:
    """What each participant has: free balance, and for a validator its pool of stake."""
    found: dict[AccountId, int] = {}
    for account, name in plan.get_names().items():
        found[account] = client.extrinsics.get_account(account).balance
        if name.startswith("validator"):
            found[account] += _get_pool(client, account)
    return found


def describe_participants(
    client: Client, plan: DevnetPlan, records: tuple[RoundRecord, ...], before: Mapping[AccountId, int]
) -> list[dict[str, Any]]:
    """One entry a participant, amounts in base units. `earned` is net of fees and slashes."""
    now = get_balances(client, plan)
    entries: list[dict[str, Any]] = []
    for node in plan.nodes:
        account = node.secrets.account
        entries.append(_describe(node.name, "validator", account, now, before) | {"stake": _get_pool(client, account)})
    for trainer in plan.trainers:
        account = AccountId(ed25519.get_public_key(trainer.account_seed))
        accepted, rejected = count_verdicts(records, account)
        entry = _describe(trainer.name, "trainer", account, now, before)
        entries.append(entry | {"attack": trainer.attack, "accepted": accepted, "rejected": rejected})
    return entries


def _describe(
    name: str, role: str, account: AccountId, now: Mapping[AccountId, int], before: Mapping[AccountId, int]
) -> dict[str, Any]:
    return {
        "name": name, "role": role, "account": account.hex(), "balance": Balance(now[account]),
        "earned": now[account] - before[account],
    }  # fmt: skip


def _get_pool(client: Client, account: AccountId) -> Stake:
    raw = client.state.get(POOLS.get_key(account))
    return Stake(0) if raw is None else POOLS.codec.decode(raw).stake
