"""`flockchain init`: make a node's folder, for a chain of one's own or for one to join."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from flockchain.cli.connection import HomeOption, PasswordOption, read_password, resolve_home
from flockchain.cli.exit_codes import UserMistake
from flockchain.cli.output import Output, OutputFormat, print_note, print_record

if TYPE_CHECKING:
    from flockchain.node.home import NodeSecrets

__all__ = ["LOCAL_CHAIN", "init"]

LOCAL_CHAIN: Final = "local"


NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="A folder to make here, when --home is not given.")
]
ChainOption = Annotated[
    str, typer.Option("--chain", metavar="CHAIN", help="local: a chain of your own; or a shipped genesis' name.")
]
GenesisOption = Annotated[
    Path | None,
    typer.Option("--genesis", metavar="FILE", exists=True, dir_okay=False, help="Join this file's chain."),
]
PeerOption = Annotated[
    list[str] | None, typer.Option("--peer", metavar="HOST:PORT", help="A node to dial; may be given more than once.")
]
DevKeyOption = Annotated[
    str | None,
    typer.Option("--dev-key", metavar="WHO", help="Keys that everybody knows, such as validator-0 of devnet."),
]


def _address_option(name: str, help_text: str) -> Any:
    return typer.Option(name, metavar="HOST:PORT", help=help_text)


def init(
    name: NameArgument = None,
    home: HomeOption = None,
    chain: ChainOption = LOCAL_CHAIN,
    genesis: GenesisOption = None,
    peer: PeerOption = None,
    listen: Annotated[str, _address_option("--listen", "Where peers reach the node.")] = "127.0.0.1:9700",
    api: Annotated[str, _address_option("--api", "Where clients reach the node.")] = "127.0.0.1:9701",
    metrics: Annotated[str, _address_option("--metrics", "Where Prometheus reaches it; empty: nowhere.")] = "",
    evaluator: Annotated[str, _address_option("--evaluator", "The evaluator that judges for the node.")] = "",
    dev_key: DevKeyOption = None,
    password_file: PasswordOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace settings and keys; old keys stay aside.")] = False,
    output: Output = OutputFormat.HUMAN,
) -> None:
    """Make a node's folder: settings, genesis and fresh keys.

    Without --password-file a random password is kept in the folder, so that the node can start unattended.
    """
    from flockchain.node.config import ApiConfig, EvaluatorConfig, MetricsConfig, NodeConfig, PeerConfig
    from flockchain.node.home import initialise_home

    if genesis is not None and chain != LOCAL_CHAIN:
        raise UserMistake("--genesis and --chain both name a chain", hint="give one of them")
    config = NodeConfig(
        peer=PeerConfig(listen=listen, peers=tuple(peer or ())), api=ApiConfig(listen=api),
        metrics=MetricsConfig(listen=metrics), evaluator=EvaluatorConfig(address=evaluator),
    )  # fmt: skip
    secrets = _choose_secrets(dev_key)
    toml, chain_name = _choose_genesis(chain, genesis, secrets)
    folder = Path(name) if name and home is None else resolve_home(home)
    password = read_password(password_file) if password_file is not None else None
    made = initialise_home(folder, toml, config, secrets, password, is_forced=force)
    record = {
        "home": made.path, "chain": chain_name, "account": made.get_account(), "node_id": made.get_node_id(),
        "peer": config.peer.listen, "api": config.api.listen,
    }  # fmt: skip
    print_record(record, output)
    if output is OutputFormat.HUMAN:
        where = "" if made.path == resolve_home(None) else f" --home {made.path}"
        print_note(f"next: flockchain start{where}")


def _choose_secrets(dev_key: str | None) -> NodeSecrets:
    from flockchain.node.home import NodeSecrets, generate_secrets
    from flockchain.runtime.dev_keys import derive_dev_keys

    if dev_key is None:
        return generate_secrets()
    known = derive_dev_keys(dev_key)
    return NodeSecrets(
        known.account_seed, known.node_seed, known.score_seed, known.consensus_secret, known.certificate_secret
    )


def _choose_genesis(chain: str, file: Path | None, secrets: NodeSecrets) -> tuple[bytes, str]:
    """The genesis file's bytes, checked, and the name of its chain."""
    from flockchain.crypto.bls import get_default_backend
    from flockchain.devnet.shipped_chains import load_shipped_genesis
    from flockchain.node.solo_chain import build_solo_genesis
    from flockchain.runtime.genesis import build_genesis, encode_genesis, load_genesis

    if file is not None:
        toml = file.read_bytes()
    elif chain != LOCAL_CHAIN:
        toml = load_shipped_genesis(chain)
    else:
        now_ms = time.time_ns() // 1_000_000
        toml = encode_genesis(build_solo_genesis(LOCAL_CHAIN, secrets, get_default_backend(), now_ms))
    config = load_genesis(toml)
    build_genesis(config)
    return toml, config.chain
