"""A chain of one's own: the genesis that makes one node the only validator.

For trying things out on one machine; others can join it later by its genesis file. Knows one reasonable value for
every setting of a genesis; a real network writes its own file.
"""

from __future__ import annotations

from typing import Final

from flockchain.crypto import ed25519
from flockchain.crypto.bls import BlsBackend
from flockchain.node.home import NodeSecrets
from flockchain.primitives.numbers import AccountId, Balance, NodeId, Stake, TimestampMs
from flockchain.runtime.genesis_config import (
    BalanceConfig,
    BlockConfig,
    ConsensusConfig,
    GenesisAccount,
    GenesisConfig,
    GenesisValidator,
    LearningConfig,
    OffenceConfig,
    StakingConfig,
)

__all__ = ["build_solo_genesis"]

FLOCK: Final = 10**9  # base units


def build_solo_genesis(chain: str, node_secrets: NodeSecrets, bls: BlsBackend, timestamp_ms: int) -> GenesisConfig:
    """The genesis of a chain whose only validator, and only holder of funds, is the node with these keys."""
    account = AccountId(ed25519.get_public_key(node_secrets.account_seed))
    validator = GenesisValidator(
        account=account,
        node_id=NodeId(ed25519.get_public_key(node_secrets.node_seed)),
        score_key=ed25519.get_public_key(node_secrets.score_seed),
        consensus_key=bls.get_public_key(node_secrets.consensus_secret),
        consensus_proof=bls.prove_possession(node_secrets.consensus_secret),
        certificate_key=bls.get_public_key(node_secrets.certificate_secret),
        certificate_proof=bls.prove_possession(node_secrets.certificate_secret),
        stake=Stake(100_000 * FLOCK),
        commission_bps=500,
    )
    return GenesisConfig(
        chain=chain,
        timestamp_ms=TimestampMs(timestamp_ms),
        epoch_blocks=60,
        consensus=ConsensusConfig(leader_timeout_ms=2_000, view_timeout_ms=3_000, retry_ms=1_000, idle_block_ms=1_000),
        blocks=BlockConfig(max_weight=2_000_000, max_bytes=4 * 1024 * 1024, max_lifetime_blocks=2_400),
        balances=BalanceConfig(
            existential_deposit=Balance(1_000), fee_base=Balance(1_000), fee_per_byte=Balance(1),
            fee_per_weight=Balance(1), block_reward=Balance(FLOCK // 10), issuance_max=Balance(10**9 * FLOCK),
        ),
        staking=StakingConfig(
            max_validators=100, min_stake=Stake(1_000 * FLOCK), min_delegation=Stake(FLOCK), unbonding_epochs=8,
            evidence_age_epochs=6, trusting_epochs=4,
        ),
        offences=OffenceConfig(double_vote_bps=500, double_score_bps=500, reporter_bps=500),
        learning=LearningConfig(
            absent_slash_bps=10, unavailable_fee_bps=1_000, committee_share_bps=2_000
        ),
        accounts=(GenesisAccount(account, Balance(1_000_000 * FLOCK)),),
        validators=(validator,),
    )  # fmt: skip
