"""`flockchain stake`: become a validator, add and take out stake, see who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from flockchain.cli.connection import (
    HomeOption,
    KeyFileOption,
    KeyOption,
    NodeOption,
    PasswordOption,
    connect,
    load_account,
    parse_account,
    read_password,
    resolve_home,
)
from flockchain.cli.output import Output, OutputFormat, print_record, print_rows
from flockchain.cli.tx import AmountArgument, NoWaitOption, Sending, parse_amount, send
from flockchain.primitives.numbers import AccountId, NodeId, Stake

if TYPE_CHECKING:
    from flockchain.client import CallRequest, Client
    from flockchain.node.home import NodeSecrets
    from flockchain.runtime.frame import StorageMap
    from flockchain.runtime.pallets.staking import ValidatorRecord

__all__ = ["app", "bond", "delegate", "leave", "show", "unbond", "undelegate", "withdraw"]

K = TypeVar("K")
V = TypeVar("V")

app = typer.Typer(name="stake", help="Stake: what makes a validator.", no_args_is_help=True)

ValidatorArgument = Annotated[str, typer.Argument(metavar="VALIDATOR", help="An account, or the name of a key.")]
CommissionOption = Annotated[int, typer.Option("--commission-bps", min=0, max=10_000, help="Of delegators' rewards.")]


@app.command("bond")
def bond(
    amount: AmountArgument, commission_bps: CommissionOption = 500, home: HomeOption = None, node: NodeOption = None,
    password_file: PasswordOption = None, no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Make the node of --home a validator with its own keys, or add to its stake."""
    from flockchain.client import Account, calls
    from flockchain.node.home import Home

    folder = resolve_home(home)
    keys = Home(folder).unlock(read_password(password_file, folder))
    account = Account(keys.account_seed)
    with connect(node, home) as client:
        is_known = _read_entry(client, _get_registrations(), account.account) is not None
    units = parse_amount(amount)
    request = calls.bond_extra(units) if is_known else _build_bond(keys, units, commission_bps)
    send(request, Sending(home, node, None, None, password_file, no_wait, output), account)


@app.command("unbond")
def unbond(
    amount: AmountArgument, home: HomeOption = None, node: NodeOption = None, key: KeyOption = None,
    key_file: KeyFileOption = None, password_file: PasswordOption = None, no_wait: NoWaitOption = False,
    output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Take out own stake; it is free after the unbonding period."""
    from flockchain.client import calls

    sending = Sending(home, node, key, key_file, password_file, no_wait, output)
    send(calls.unbond(parse_amount(amount)), sending)


@app.command("withdraw")
def withdraw(
    validator: Annotated[str | None, typer.Argument(metavar="[VALIDATOR]", help="Whose pool. [default: own]")] = None,
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Collect what has finished unbonding."""
    from flockchain.client import calls

    account = load_account(home, key, key_file, password_file)
    pool = account.account if validator is None else parse_account(validator, home)
    send(calls.withdraw(pool), Sending(home, node, key, key_file, password_file, no_wait, output), account)


@app.command("delegate")
def delegate(
    validator: ValidatorArgument, amount: AmountArgument, home: HomeOption = None, node: NodeOption = None,
    key: KeyOption = None, key_file: KeyFileOption = None, password_file: PasswordOption = None,
    no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Add stake to a validator's pool."""
    from flockchain.client import calls

    request = calls.delegate(parse_account(validator, home), parse_amount(amount))
    send(request, Sending(home, node, key, key_file, password_file, no_wait, output))


@app.command("undelegate")
def undelegate(
    validator: ValidatorArgument, amount: AmountArgument, home: HomeOption = None, node: NodeOption = None,
    key: KeyOption = None, key_file: KeyFileOption = None, password_file: PasswordOption = None,
    no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Take stake out of a validator's pool; it is free after the unbonding period."""
    from flockchain.client import calls

    request = calls.undelegate(parse_account(validator, home), parse_amount(amount))
    send(request, Sending(home, node, key, key_file, password_file, no_wait, output))


@app.command("leave")
def leave(
    home: HomeOption = None, node: NodeOption = None, key: KeyOption = None, key_file: KeyFileOption = None,
    password_file: PasswordOption = None, no_wait: NoWaitOption = False, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """Stop validating, and unbond everything."""
    from flockchain.client import calls

    send(calls.leave(), Sending(home, node, key, key_file, password_file, no_wait, output))


@app.command("show")
def show(
    account: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="One account instead of all.")] = None,
    home: HomeOption = None, node: NodeOption = None, output: Output = OutputFormat.HUMAN,
) -> None:  # fmt: skip
    """The validators of this epoch and of the next, or what one account has."""
    with connect(node, home) as client:
        if account is None:
            rows = _list_members(client)
            print_rows(rows, ["account", "stake", "this_epoch", "next_epoch"], output, empty="no validators")
        else:
            print_record(_describe(client, parse_account(account, home)), output)


def _build_bond(keys: NodeSecrets, amount: int, commission_bps: int) -> CallRequest:
    """The call that registers a node's own keys, with proofs that it holds them."""
    from flockchain.client import calls
    from flockchain.crypto import bls, ed25519

    return calls.bond(
        Stake(amount), commission_bps=commission_bps, node_id=NodeId(ed25519.get_public_key(keys.node_seed)),
        score_key=ed25519.get_public_key(keys.score_seed), consensus_key=bls.get_public_key(keys.consensus_secret),
        consensus_proof=bls.prove_possession(keys.consensus_secret),
        certificate_key=bls.get_public_key(keys.certificate_secret),
        certificate_proof=bls.prove_possession(keys.certificate_secret),
    )  # fmt: skip


def _list_members(client: Client) -> list[dict[str, object]]:
    epoch = client.chain.get_status().epoch
    sets = [client.chain.get_validator_set(each) for each in (epoch, epoch + 1)]
    stakes: dict[bytes, list[int]] = {}
    for at, members in enumerate(sets):
        for member in members.validators:
            stakes.setdefault(member.account, [0, 0])[at] = member.stake
    return [
        {"account": account, "stake": max(pair), "this_epoch": pair[0] > 0, "next_epoch": pair[1] > 0}
        for account, pair in sorted(stakes.items())
    ]


def _describe(client: Client, account: AccountId) -> dict[str, object]:
    from flockchain.runtime.stake_ledger import POOLS, SHARES
    from flockchain.runtime.stake_pool import EMPTY_POOL, compute_value

    own = client.extrinsics.get_account(account)
    pool = _read_entry(client, POOLS, account) or EMPTY_POOL
    shares = _read_entry(client, SHARES, (account, account)) or 0
    row = next((row for row in _list_members(client) if row["account"] == account), None)
    return {
        "account": account, "balance": own.balance, "nonce": own.nonce,
        "registration": _read_entry(client, _get_registrations(), account), "own_stake": compute_value(pool, shares),
        "pool_stake": pool.stake, "this_epoch": bool(row and row["this_epoch"]),
        "next_epoch": bool(row and row["next_epoch"]),
    }  # fmt: skip


def _get_registrations() -> StorageMap[AccountId, ValidatorRecord]:
    from flockchain.runtime.pallets.staking import VALIDATORS

    return VALIDATORS


def _read_entry(client: Client, entries: StorageMap[K, V], key: K) -> V | None:
    """One entry of finalized state, on the node's word."""
    raw = client.state.get(entries.get_key(key))
    return None if raw is None else entries.codec.decode(raw)
