"""What all nodes of a chain must agree on, as one frozen record with a canonical encoding.

Knows: the fields, their bounds and how they relate. Does not know TOML (`genesis.py`) or state. Amounts are base
units; one FLOCK is 10^9 of them. Lengths are in blocks or epochs, times in milliseconds; bps are 1/10,000.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.codec import HASH, U16, U32, U64, U128, FixedBytes, ListOf, Text, struct
from flockchain.primitives.errors import InvalidInput
from flockchain.primitives.limits import BLOCK_BYTES_MAX, EXTRINSIC_BYTES_MAX, VALIDATORS_MAX
from flockchain.primitives.numbers import (
    BPS,
    AccountId,
    Balance,
    Epoch,
    Hash,
    Height,
    NodeId,
    Stake,
    TimestampMs,
)  # fmt: skip

__all__ = [
    "GENESIS_CONFIG", "BalanceConfig", "BlockConfig", "ConsensusConfig", "GenesisAccount", "GenesisConfig",
    "GenesisInconsistent", "GenesisValidator", "LearningConfig", "OffenceConfig", "StakingConfig",
    "compute_config_digest", "compute_epoch", "compute_last_height", "require_consistent",
]  # fmt: skip

EPOCH_BLOCKS_MAX: Final = 1_000_000
GENESIS_ACCOUNTS_MAX: Final = 100_000
ISSUANCE_LIMIT: Final = 2**90  # so that shares of stake stay under 128 bits (stake_pool.py)


class GenesisInconsistent(InvalidInput):
    """Two settings of a genesis contradict each other."""


@dataclass(frozen=True, slots=True)
class ConsensusConfig:
    """The pace of views."""

    leader_timeout_ms: int  # no proposal until then: nullify
    view_timeout_ms: int  # no notarization until then: nullify
    retry_ms: int  # what was sent is sent again
    idle_block_ms: int  # a leader with nothing to include waits this long


@dataclass(frozen=True, slots=True)
class BlockConfig:
    """How much one block may hold. Weight is in microseconds of one core."""

    max_weight: int
    max_bytes: int
    max_lifetime_blocks: int  # of an extrinsic


@dataclass(frozen=True, slots=True)
class BalanceConfig:
    """Fees are base + per byte + per weight; half is burned, half goes to the proposer."""

    existential_deposit: Balance
    fee_base: Balance
    fee_per_byte: Balance
    fee_per_weight: Balance
    block_reward: Balance  # newly issued to the proposer's pool, while the issuance is under its bound
    issuance_max: Balance


@dataclass(frozen=True, slots=True)
class StakingConfig:
    """Who may validate, and how long stake stays answerable."""

    max_validators: int
    min_stake: Stake  # of a validator's own
    min_delegation: Stake
    unbonding_epochs: int
    evidence_age_epochs: int
    trusting_epochs: int  # a light client may trust a header this long


@dataclass(frozen=True, slots=True)
class OffenceConfig:
    """Fractions of stake that objective faults cost, and the part of a slash that its reporter gets."""

    double_vote_bps: int
    double_score_bps: int
    reporter_bps: int


@dataclass(frozen=True, slots=True)
class LearningConfig:
    """Chain-wide rules of learning rounds; everything else is the task's own."""

    absent_slash_bps: int  # of the stake of a member that did not commit and reveal
    unavailable_fee_bps: int  # of the bond of an update whose bytes could not be had
    committee_share_bps: int  # of a round's reward, to the members that served


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """A balance at genesis, beside what its owner has at stake."""

    account: AccountId
    balance: Balance


@dataclass(frozen=True, slots=True)
class GenesisValidator:
    """A member of the first two epochs' sets. The proofs show possession of the BLS keys."""

    account: AccountId
    node_id: NodeId
    score_key: bytes
    consensus_key: bytes
    consensus_proof: bytes
    certificate_key: bytes
    certificate_proof: bytes
    stake: Stake
    commission_bps: int


@dataclass(frozen=True, slots=True)
class GenesisConfig:
    """The whole agreement. The genesis hash commits to it."""

    chain: str
    timestamp_ms: TimestampMs
    epoch_blocks: int
    consensus: ConsensusConfig
    blocks: BlockConfig
    balances: BalanceConfig
    staking: StakingConfig
    offences: OffenceConfig
    learning: LearningConfig
    accounts: tuple[GenesisAccount, ...]
    validators: tuple[GenesisValidator, ...]


GENESIS_CONFIG: Final = struct(
    GenesisConfig, chain=Text(64), timestamp_ms=U64, epoch_blocks=U32,
    consensus=struct(ConsensusConfig, leader_timeout_ms=U32, view_timeout_ms=U32, retry_ms=U32, idle_block_ms=U32),
    blocks=struct(BlockConfig, max_weight=U64, max_bytes=U32, max_lifetime_blocks=U32),
    balances=struct(
        BalanceConfig, existential_deposit=U128, fee_base=U128, fee_per_byte=U128, fee_per_weight=U128,
        block_reward=U128, issuance_max=U128,
    ),
    staking=struct(
        StakingConfig, max_validators=U16, min_stake=U128, min_delegation=U128, unbonding_epochs=U32,
        evidence_age_epochs=U32, trusting_epochs=U32,
    ),
    offences=struct(OffenceConfig, double_vote_bps=U16, double_score_bps=U16, reporter_bps=U16),
    learning=struct(
        LearningConfig, absent_slash_bps=U16, unavailable_fee_bps=U16, committee_share_bps=U16
    ),
    accounts=ListOf(struct(GenesisAccount, account=HASH, balance=U128), GENESIS_ACCOUNTS_MAX),
    validators=ListOf(
        struct(
            GenesisValidator, account=HASH, node_id=HASH, score_key=HASH, consensus_key=FixedBytes(48),
            consensus_proof=FixedBytes(96), certificate_key=FixedBytes(48), certificate_proof=FixedBytes(96),
            stake=U128, commission_bps=U16,
        ),
        VALIDATORS_MAX,
    ),
)  # fmt: skip


def compute_config_digest(config: GenesisConfig) -> Hash:
    """What the genesis state holds of the config: comments and order in a file do not count, every value does."""
    return hash_tagged("genesis-config", GENESIS_CONFIG.encode(config))


def compute_epoch(config: GenesisConfig, height: Height) -> Epoch:
    """The epoch of a block. Epoch e holds heights e·n + 1 to (e+1)·n; genesis is the anchor of epoch 0."""
    return Epoch((height - 1) // config.epoch_blocks if height else 0)


def compute_last_height(config: GenesisConfig, epoch: Epoch) -> Height:
    """The height of the epoch's boundary block."""
    return Height((epoch + 1) * config.epoch_blocks)


def require_consistent(config: GenesisConfig) -> None:
    """Refuse settings that contradict one another. Proofs of possession are checked by `genesis.build_genesis`."""
    staking = config.staking
    _require(staking.unbonding_epochs > staking.evidence_age_epochs, "stake must stay bonded for longer than evidence",
             unbonding=staking.unbonding_epochs, evidence=staking.evidence_age_epochs)  # fmt: skip
    _require(staking.evidence_age_epochs > staking.trusting_epochs, "evidence must live longer than a client's trust",
             evidence=staking.evidence_age_epochs, trusting=staking.trusting_epochs)  # fmt: skip
    _require(staking.trusting_epochs > 0, "a client must be able to trust a header for an epoch")
    _require(0 < config.epoch_blocks <= EPOCH_BLOCKS_MAX, "an epoch is out of range", blocks=config.epoch_blocks)
    _require(0 < staking.max_validators <= VALIDATORS_MAX, "too many or no validators", most=VALIDATORS_MAX)
    _require(staking.min_stake > 0 and staking.min_delegation > 0, "stakes are positive")
    _require(EXTRINSIC_BYTES_MAX < config.blocks.max_bytes <= BLOCK_BYTES_MAX, "a block's bytes are out of range",
             least=EXTRINSIC_BYTES_MAX, most=BLOCK_BYTES_MAX, got=config.blocks.max_bytes)  # fmt: skip
    _require(config.blocks.max_weight > 0 and config.blocks.max_lifetime_blocks > 0, "a block must hold something")
    consensus = config.consensus
    _require(0 < consensus.leader_timeout_ms <= consensus.view_timeout_ms, "the leader's time is within the view's")
    _require(consensus.retry_ms > 0, "retries take some time")
    _require(consensus.idle_block_ms < consensus.leader_timeout_ms, "an idle leader must not be timed out")
    _require(config.balances.existential_deposit > 0, "an account costs something")
    _require_fractions(config)
    _require_participants(config)


def _require_fractions(config: GenesisConfig) -> None:
    offences, learning = config.offences, config.learning
    for bps in (
        offences.double_vote_bps, offences.double_score_bps, learning.absent_slash_bps, learning.unavailable_fee_bps,
        learning.committee_share_bps, *(validator.commission_bps for validator in config.validators),
    ):  # fmt: skip
        _require(bps <= BPS, "a fraction is over the whole", bps=bps)
    _require(2 * offences.reporter_bps < BPS, "most of a slash is burned", reporter_bps=offences.reporter_bps)


def _require_participants(config: GenesisConfig) -> None:
    validators, accounts = config.validators, config.accounts
    _require(
        0 < len(validators) <= config.staking.max_validators, "a chain starts with validators", got=len(validators)
    )
    keys = [
        key
        for member in validators
        for key in (member.account, member.node_id, member.score_key, member.consensus_key, member.certificate_key)
    ]
    _require(len(set(keys)) == len(keys), "one key serves two roles", keys=len(keys), distinct=len(set(keys)))
    for member in validators:
        _require(member.stake >= config.staking.min_stake, "a validator has too little stake", account=member.account)
    named = [holder.account for holder in accounts]
    _require(len(set(named)) == len(named), "an account is named twice", accounts=len(named), distinct=len(set(named)))
    for holder in accounts:
        _require(holder.balance >= config.balances.existential_deposit, "a balance is dust", account=holder.account)
    issued = sum(holder.balance for holder in accounts) + sum(member.stake for member in validators)
    bound = config.balances.issuance_max
    _require(bound <= ISSUANCE_LIMIT, "issuance has a bound of its own", most=ISSUANCE_LIMIT, got=bound)
    _require(issued <= bound, "more is issued than the chain allows", issued=issued, most=bound)


def _require(is_met: bool, sentence: str, /, **values: object) -> None:
    if not is_met:
        raise GenesisInconsistent(sentence, **values)
