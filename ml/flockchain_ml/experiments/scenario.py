"""The scenario of the demonstration network and of its rehearsal: one frozen record, calibrated by rehearsals.

Everything that follows from the scenario and a seed is computed here: shards, suite, test rows, adapter. Knows no torch
training and no chain; whoever runs the scenario, in one process or as a network, takes it from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.aggregation import Accumulated
from flockchain_ml.attacks import ATTACKS, Attack
from flockchain_ml.data import (
    DOMAINS,
    FURTHER_DOMAINS,
    Domain,
    compute_seed,
    generate_shard,
    generate_suite,
    mix_in,
)
from flockchain_ml.models import LoadedModel, build_adapter_spec
from flockchain_ml.rows import Row
from flockchain_ml.trainer import TrainSettings

__all__ = ["DEMO", "DEMO_SEED", "Scenario", "ScenarioInvalid", "parse_attack"]

DEMO_SEED: Final = 7
_FURTHER_SHARE_PERCENT: Final = 20  # of every trainer's rows, for each domain besides the usual four
_LINEAR_LAYERS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class ScenarioInvalid(InvalidInput):
    """A scenario that contradicts itself."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Trainer i holds mostly domain i modulo 4. The last `malicious` trainers attack; the first four never do.

    Without `keeps_holders` more may attack, and then some domains have no honest trainer that holds mostly them.
    """

    trainers: int = 8
    malicious: int = 3
    attack: str = "backdoor"
    rounds: int = 5
    rows_per_trainer: int = 300
    main_share_percent: int = 85
    prompts_per_round: int = 1200
    suite_rows: int = 6000  # a drawn row is not drawn again: at least rounds times prompts
    test_rows: int = 800
    mode: AdapterMode = AdapterMode.FFA
    rank: int = 16
    alpha: int = 32
    b_scale_bits: int = 14  # B and its changes lie within ±2
    targets: tuple[str, ...] = _LINEAR_LAYERS
    training: TrainSettings = field(default_factory=lambda: TrainSettings(steps=80, batch_rows=16, learning_rate=6e-3))
    rule: Accumulated = field(
        default_factory=lambda: Accumulated(reputation_cap=5_000, mass_threshold=140_000, reputation_floor=-15_000)
    )

    keeps_holders: bool = True

    def __post_init__(self) -> None:
        honest_min = len(DOMAINS) if self.keeps_holders else 1
        if not 0 <= self.malicious <= max(0, self.trainers - honest_min):
            raise ScenarioInvalid(
                "too few honest trainers are left", trainers=self.trainers, malicious=self.malicious, least=honest_min
            )
        if self.suite_rows < self.rounds * self.prompts_per_round:
            raise ScenarioInvalid("the suite is too small for its rounds", suite_rows=self.suite_rows)
        if self.attack not in ATTACKS:
            raise ScenarioInvalid("there is no such attack", attack=self.attack, known=",".join(ATTACKS))

    def is_malicious(self, trainer: int) -> bool:
        """Whether this trainer attacks."""
        return trainer >= self.trainers - self.malicious

    def get_attack(self, trainer: int) -> Attack | None:
        """What this trainer does wrong, or None."""
        return ATTACKS[self.attack] if self.is_malicious(trainer) else None

    def get_measured_attack(self) -> Attack | None:
        """The attack whose success a report gives; None where nothing could succeed."""
        attack = ATTACKS[self.attack]
        is_in_data = attack.holding.planted is not None or bool(attack.domains)
        return attack if self.malicious or is_in_data else None

    def get_domains(self) -> tuple[Domain, ...]:
        """What the task is about: the usual domains, and those without which its attack has no goal."""
        return (*DOMAINS, *(FURTHER_DOMAINS[name] for name in ATTACKS[self.attack].domains))

    def build_spec(self, loaded: LoadedModel, seed: int) -> AdapterSpec:
        """The task's adapter on this base."""
        a_seed = Hash(hashlib.sha256(f"adapter of seed {seed}".encode()).digest())
        return build_adapter_spec(
            loaded, targets=self.targets, rank=self.rank, alpha=self.alpha, mode=self.mode, a_seed=a_seed,
            b_scale_bits=self.b_scale_bits,
        )  # fmt: skip

    def build_shard(self, seed: int, trainer: int) -> tuple[Row, ...]:
        """A trainer's private rows. They are clean unless the attack plants poison in everybody's."""
        holding, is_malicious = ATTACKS[self.attack].holding, self.is_malicious(trainer)
        owner = self.trainers - self.malicious if is_malicious and holding.is_shared else trainer
        main_share_percent = 100 // len(DOMAINS) if is_malicious and holding.is_even else self.main_share_percent
        times = holding.times if is_malicious else 1
        rows = generate_shard(
            DOMAINS, owner % len(DOMAINS), times * self.rows_per_trainer, main_share_percent,
            compute_seed(seed, "shard", owner),
        )  # fmt: skip
        for domain in self.get_domains()[len(DOMAINS) :]:
            rows = mix_in(rows, domain, _FURTHER_SHARE_PERCENT, compute_seed(seed, domain.name, owner))
        if holding.planted is not None:
            rows = holding.planted.poison_rows(rows, Random(compute_seed(seed, "planted", trainer)))
        return rows

    def build_suite(self, seed: int) -> tuple[Row, ...]:
        """The rows that evaluators draw their prompts from."""
        return generate_suite(self.get_domains(), self.suite_rows, compute_seed(seed, "suite"))

    def build_test(self, seed: int) -> tuple[Row, ...]:
        """The rows that the report's accuracy and attack success rate are measured on; nobody votes on them."""
        return generate_suite(self.get_domains(), self.test_rows, compute_seed(seed, "test"))

    def compute_training_seed(self, seed: int, trainer: int, round: int) -> int:
        """What fixes a trainer's batches in a round."""
        return compute_seed(seed, "training", trainer, round)


DEMO: Final = Scenario()


def parse_attack(text: str) -> tuple[str, int]:
    """ "backdoor:3" -> ("backdoor", 3); "none" -> no attacker."""
    if text == "none":
        return DEMO.attack, 0
    name, separator, count = text.partition(":")
    known: Sequence[str] = tuple(ATTACKS)
    if name not in known or not separator or not count.isascii() or not count.isdigit():
        raise ScenarioInvalid("an attack is written NAME:COUNT", text=text, known=",".join(known))
    return name, int(count)
