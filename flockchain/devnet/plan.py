"""What a devnet consists of: who takes part, with which keys, ports and folders, on which chain.

Pure: the same settings, ports and time give the same plan. Writes nothing and starts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import COMMITTEE_MAX, UPDATES_PER_ROUND_MAX
from flockchain.primitives.numbers import AccountId, Balance, Stake, TimestampMs
from flockchain.runtime.dev_keys import ValidatorSecrets, build_genesis_validator, derive_dev_account, derive_dev_keys
from flockchain.runtime.genesis_config import GenesisAccount, GenesisConfig

__all__ = [
    "PORTS_PER_NODE", "AttackPlan", "DevnetPlan", "DevnetSettings", "NodePlan", "TrainerPlan", "build_genesis_config",
    "build_plan", "list_preferred_ports", "parse_attack",
]  # fmt: skip

FLOCK: Final = 10**9  # base units
PORTS_PER_NODE: Final = 4  # peers, API, metrics, evaluator
_FIRST_PORT: Final = 9700  # of the first node, where they are free: 9700 to 9703, then 9710 to 9713
_PORT_STEP: Final = 10
_VALIDATOR_STAKE: Final = 100_000 * FLOCK
_FUNDS: Final = 1_000_000 * FLOCK  # free balance of each account of the devnet
_COMMISSION_BPS: Final = 500
_LOOPBACK: Final = "127.0.0.1"


class DevnetSettingsWrong(InvalidInput):
    """A devnet of this size or kind cannot be planned."""


@dataclass(frozen=True, slots=True)
class AttackPlan:
    """How many trainers are malicious, and what they do."""

    name: str
    trainers: int


@dataclass(frozen=True, slots=True)
class DevnetSettings:
    """What the user asked for. No rounds: the nodes alone, without the learning side."""

    home: Path
    validators: int
    trainers: int
    rounds: int
    attack: AttackPlan | None
    seed: int
    model: Path | None = None  # without rounds: the base model that each node's evaluator holds; none: no evaluators
    guests: int = 0  # of the trainers: the first ones have their places and accounts, and are started by somebody else
    searches_triggers: bool = False  # whether evaluators look for backdoors beside scoring on clean prompts


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One validator: its folder, its addresses on loopback and its secrets."""

    name: str
    home: Path
    peer_address: str
    api_address: str
    metrics_address: str
    evaluator_address: str
    secrets: ValidatorSecrets


@dataclass(frozen=True, slots=True)
class TrainerPlan:
    """One trainer: its account, and the attack that it carries out (None: honest)."""

    name: str
    home: Path
    account_seed: bytes
    attack: str | None
    index: int
    is_guest: bool

    @property
    def key_file(self) -> Path:
        return self.home / "account.seed"


@dataclass(frozen=True, slots=True)
class DevnetPlan:
    """Everything that is decided before the first process starts."""

    settings: DevnetSettings
    chain: str
    nodes: tuple[NodePlan, ...]
    trainers: tuple[TrainerPlan, ...]
    creator_seed: bytes  # the account that creates and funds the task

    @property
    def genesis_file(self) -> Path:
        return self.settings.home / "genesis.toml"

    @property
    def creator_key_file(self) -> Path:
        return self.settings.home / "creator" / "account.seed"

    @property
    def logs(self) -> Path:
        return self.settings.home / "logs"

    def get_names(self) -> dict[AccountId, str]:
        """The participants' names by account."""
        names = {node.secrets.account: node.name for node in self.nodes}
        names |= {AccountId(ed25519.get_public_key(trainer.account_seed)): trainer.name for trainer in self.trainers}
        return names | {AccountId(ed25519.get_public_key(self.creator_seed)): "creator"}


def parse_attack(text: str | None) -> AttackPlan | None:
    """`NAME:COUNT`, such as `backdoor:3`."""
    if not text or text == "none":
        return None
    name, colon, count = text.partition(":")
    if not name or (colon and not count.isdecimal()):
        raise DevnetSettingsWrong("an attack is written NAME:COUNT, such as backdoor:3", got=text)
    return AttackPlan(name, int(count) if colon else 1)


def list_preferred_ports(validators: int) -> tuple[int, ...]:
    """The ports that people know by heart; another devnet may hold them."""
    starts = range(_FIRST_PORT, _FIRST_PORT + _PORT_STEP * validators, _PORT_STEP)
    return tuple(start + at for start in starts for at in range(PORTS_PER_NODE))


def build_plan(settings: DevnetSettings, ports: Sequence[int]) -> DevnetPlan:
    """Plan the network on `ports`, of which each node takes `PORTS_PER_NODE`."""
    _require_possible(settings)
    if len(ports) != PORTS_PER_NODE * settings.validators:
        raise DevnetSettingsWrong("each node takes its own ports", each=PORTS_PER_NODE, got=len(ports))
    attackers = settings.attack.trainers if settings.attack else 0
    honest = settings.trainers - attackers
    return DevnetPlan(
        settings=settings,
        chain=f"devnet-{settings.seed}",
        nodes=tuple(_plan_node(settings, at, ports[PORTS_PER_NODE * at :]) for at in range(settings.validators)),
        trainers=tuple(_plan_trainer(settings, at, is_honest=at < honest) for at in range(settings.trainers)),
        creator_seed=_derive_account(settings, "creator"),
    )


def build_genesis_config(
    plan: DevnetPlan, template: GenesisConfig, timestamp_ms: int, backend: BlsBackend
) -> GenesisConfig:
    """The chain of `template` with this plan's participants in place of the template's."""
    funded = [plan.creator_seed, *(trainer.account_seed for trainer in plan.trainers)]
    funded += [node.secrets.account_seed for node in plan.nodes]
    accounts = (GenesisAccount(AccountId(ed25519.get_public_key(seed)), Balance(_FUNDS)) for seed in funded)
    members = (
        build_genesis_validator(node.secrets, backend, Stake(_VALIDATOR_STAKE), _COMMISSION_BPS) for node in plan.nodes
    )
    return replace(
        template,
        chain=plan.chain,
        timestamp_ms=TimestampMs(timestamp_ms),
        accounts=tuple(sorted(accounts, key=lambda holder: holder.account)),
        validators=tuple(sorted(members, key=lambda member: member.account)),
    )


def _require_possible(settings: DevnetSettings) -> None:
    attackers = settings.attack.trainers if settings.attack else 0
    if settings.model is not None and settings.rounds:
        raise DevnetSettingsWrong("a devnet with rounds brings its own base model", rounds=settings.rounds)
    for name, value, least, most in (
        ("validators", settings.validators, 1, COMMITTEE_MAX),
        ("trainers", settings.trainers, 1, UPDATES_PER_ROUND_MAX),
        ("rounds", settings.rounds, 0, 1000),
        ("guests", settings.guests, 0, settings.trainers),
        ("attackers", attackers, 0, settings.trainers - settings.guests),
    ):
        if not least <= value <= most:
            raise DevnetSettingsWrong(f"the number of {name} is out of range", least=least, most=most, got=value)


def _plan_node(settings: DevnetSettings, at: int, ports: Sequence[int]) -> NodePlan:
    name = f"validator-{at}"
    peer, api, metrics, evaluator = (f"{_LOOPBACK}:{port}" for port in ports[:PORTS_PER_NODE])
    return NodePlan(
        name=name,
        home=settings.home / name,
        peer_address=peer,
        api_address=api,
        metrics_address=metrics,
        evaluator_address=evaluator,
        secrets=derive_dev_keys(f"devnet-{settings.seed}/{name}"),
    )


def _plan_trainer(settings: DevnetSettings, at: int, *, is_honest: bool) -> TrainerPlan:
    name = f"trainer-{at}"
    attack = None if is_honest or settings.attack is None else settings.attack.name
    return TrainerPlan(name, settings.home / name, _derive_account(settings, name), attack, at, at < settings.guests)


def _derive_account(settings: DevnetSettings, name: str) -> bytes:
    """A seed that anybody who knows the devnet's seed can compute: for a chain on one machine only."""
    return derive_dev_account(f"devnet-{settings.seed}/{name}")
