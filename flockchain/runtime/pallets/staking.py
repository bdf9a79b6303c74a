"""Who validates: stake, keys, delegation, unbonding, and the validator set of every epoch.

A validator and its delegators hold shares of one pool (`stake_pool.py`). Unbonding moves stake into the pool of its
release epoch, where it stays answerable for what its validator did while it still counted. Delegating joins a pool
as it is, an offence of its validator that nobody has reported yet included.

The set of epoch e+2 is fixed by the last block of epoch e, so a header of epoch e+1 names both its own set and the
next, and a key bonded in epoch e first votes in e+2. Stake unbonded in epoch c counts in sets up to c+1; it is paid
out from epoch c+1+unbonding on, after the last evidence against epoch c+1 has become too old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from flockchain.crypto.hashing import compute_validators_hash
from flockchain.primitives.codec import BOOL, HASH, U16, U64, U128, FixedBytes, VarBytes, struct
from flockchain.primitives.errors import InvalidInput, Refused, invariant
from flockchain.primitives.numbers import BPS, AccountId, Balance, Epoch, Hash, NodeId, Stake
from flockchain.primitives.validator_set import VALIDATOR_SET, Validator, ValidatorSet
from flockchain.runtime.frame import CallContext, CallSpec, Context, Pallet, State, StateReader, StorageMap
from flockchain.runtime.genesis_config import GenesisConfig, compute_last_height
from flockchain.runtime.stake_ledger import LOOKAHEAD_EPOCHS, STAKE_POT, Bank, StakeLedger, StakeTooLow
from flockchain.runtime.stake_pool import Pool

__all__ = [
    "AlreadyValidator", "Bond", "BondExtra", "Bonded", "Chill", "Chilled", "CommissionTooHigh", "Delegate", "Delegated",
    "EpochUnknown", "KeyTaken", "Leave", "NotValidator", "PossessionNotProven",
    "Resume", "Resumed", "Rewarded", "SetFixed", "Slashed", "Staking", "StillJailed", "Unbond",
    "Unbonding", "Undelegate", "ValidatorInactive", "ValidatorRecord", "Withdraw", "Withdrawn",
]  # fmt: skip

# Events


@dataclass(frozen=True, slots=True)
class Bonded:
    """An account became a validator."""

    validator: AccountId
    amount: Stake


@dataclass(frozen=True, slots=True)
class Delegated:
    """Stake joined a validator's pool; the delegator is the validator itself when it bonds more."""

    validator: AccountId
    delegator: AccountId
    amount: Stake


@dataclass(frozen=True, slots=True)
class Unbonding:
    """Stake left a pool; it can be withdrawn in `release_epoch`."""

    validator: AccountId
    delegator: AccountId
    amount: Stake
    release_epoch: Epoch


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Unbonded stake is free again."""

    validator: AccountId
    delegator: AccountId
    amount: Stake


@dataclass(frozen=True, slots=True)
class Chilled:
    """A validator is no candidate for later sets; it may resume from `until_epoch` on."""

    validator: AccountId
    until_epoch: Epoch


@dataclass(frozen=True, slots=True)
class Resumed:
    """A validator is a candidate again."""

    validator: AccountId


@dataclass(frozen=True, slots=True)
class Slashed:
    """Stake was taken for an offence, unbonding stake included; the reporter got `rewarded`, the rest is burned."""

    validator: AccountId
    amount: Stake
    rewarded: Balance


@dataclass(frozen=True, slots=True)
class Rewarded:
    """A proposer's pool grew by newly issued units."""

    validator: AccountId
    amount: Balance


@dataclass(frozen=True, slots=True)
class SetFixed:
    """The validator set of a later epoch is known."""

    epoch: Epoch
    validators_hash: Hash


# Refusals


class AlreadyValidator(Refused):
    """A validator bonds once; more stake is `bond_extra`."""


class NotValidator(Refused):
    """The account has not bonded as a validator."""


class ValidatorInactive(Refused):
    """A chilled validator takes no stake."""


class CommissionTooHigh(Refused):
    """A commission over the whole."""


class KeyTaken(Refused):
    """A key serves one role of one validator."""


class PossessionNotProven(Refused):
    """A BLS key without a valid proof that its owner holds it."""


class StillJailed(Refused):
    """An offender waits before it may validate again."""


class EpochUnknown(InvalidInput):
    """The set of that epoch is not known yet, or no longer."""


# Storage


@dataclass(frozen=True, slots=True)
class ValidatorRecord:
    """What a validator registered. Its stake is its pool's."""

    node_id: NodeId
    score_key: bytes
    consensus_key: bytes
    certificate_key: bytes
    commission_bps: int
    is_active: bool
    jailed_until: Epoch

    @property
    def keys(self) -> tuple[bytes, ...]:
        return (self.node_id, self.score_key, self.consensus_key, self.certificate_key)


@dataclass(frozen=True, slots=True)
class Bond:
    """Arguments of `bond`. The proofs are BLS proofs of possession."""

    amount: Stake
    commission_bps: int
    node_id: NodeId
    score_key: bytes
    consensus_key: bytes
    consensus_proof: bytes
    certificate_key: bytes
    certificate_proof: bytes


@dataclass(frozen=True, slots=True)
class BondExtra:
    """Arguments of `bond_extra`."""

    amount: Stake


@dataclass(frozen=True, slots=True)
class Unbond:
    """Arguments of `unbond`."""

    amount: Stake


@dataclass(frozen=True, slots=True)
class Delegate:
    """Arguments of `delegate`."""

    validator: AccountId
    amount: Stake


@dataclass(frozen=True, slots=True)
class Undelegate:
    """Arguments of `undelegate`."""

    validator: AccountId
    amount: Stake


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Arguments of `withdraw`: whose pool the stake was in."""

    validator: AccountId


@dataclass(frozen=True, slots=True)
class Chill:
    """Arguments of `chill`: none."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Arguments of `resume`: none."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Arguments of `leave`: none."""


VALIDATOR_RECORD: Final = struct(
    ValidatorRecord, node_id=HASH, score_key=HASH, consensus_key=FixedBytes(48), certificate_key=FixedBytes(48),
    commission_bps=U16, is_active=BOOL, jailed_until=U64,
)  # fmt: skip
BOND: Final = struct(
    Bond, amount=U128, commission_bps=U16, node_id=HASH, score_key=HASH, consensus_key=FixedBytes(48),
    consensus_proof=FixedBytes(96), certificate_key=FixedBytes(48), certificate_proof=FixedBytes(96),
)  # fmt: skip
VALIDATORS: Final = StorageMap[AccountId, ValidatorRecord]("staking", "validator", HASH, VALIDATOR_RECORD)
KEY_OWNERS: Final = StorageMap[bytes, AccountId]("staking", "key_owner", VarBytes(48), HASH)
SETS: Final = StorageMap[Epoch, ValidatorSet]("staking", "set", U64, VALIDATOR_SET)
SET_HASHES: Final = StorageMap[Epoch, Hash]("staking", "set_hash", U64, HASH)


class Staking(Pallet):
    """See the module."""

    name = "staking"
    index = 2
    events = {  # noqa: RUF012
        0: struct(Bonded, validator=HASH, amount=U128),
        1: struct(Delegated, validator=HASH, delegator=HASH, amount=U128),
        2: struct(Unbonding, validator=HASH, delegator=HASH, amount=U128, release_epoch=U64),
        3: struct(Withdrawn, validator=HASH, delegator=HASH, amount=U128),
        4: struct(Chilled, validator=HASH, until_epoch=U64),
        5: struct(Resumed, validator=HASH),
        6: struct(Slashed, validator=HASH, amount=U128, rewarded=U128),
        7: struct(Rewarded, validator=HASH, amount=U128),
        8: struct(SetFixed, epoch=U64, validators_hash=HASH),
    }

    def __init__(self, config: GenesisConfig, bank: Bank) -> None:
        self._config = config
        self._rules = config.staking
        self._bank = bank
        self._ledger = StakeLedger(bank, self._rules.unbonding_epochs)
        self.calls = (
            CallSpec(0, "bond", BOND, 5000, self.bond),
            CallSpec(1, "bond_extra", struct(BondExtra, amount=U128), 100, self.bond_extra),
            CallSpec(2, "unbond", struct(Unbond, amount=U128), 150, self.unbond),
            CallSpec(3, "delegate", struct(Delegate, validator=HASH, amount=U128), 100, self.delegate),
            CallSpec(4, "undelegate", struct(Undelegate, validator=HASH, amount=U128), 150, self.undelegate),
            CallSpec(5, "withdraw", struct(Withdraw, validator=HASH), 200, self.withdraw),
            CallSpec(6, "chill", struct(Chill), 50, self.chill),
            CallSpec(7, "resume", struct(Resume), 50, self.resume),
            CallSpec(8, "leave", struct(Leave), 200, self.leave),
        )

    # Hooks

    def build_genesis(self, state: State, config: GenesisConfig) -> None:
        for member in config.validators:
            record = ValidatorRecord(
                member.node_id, member.score_key, member.consensus_key, member.certificate_key, member.commission_bps,
                is_active=True, jailed_until=Epoch(0),
            )  # fmt: skip
            _register(state, member.account, record)
            self._ledger.open_pool(state, member.account, member.stake)
        total = Balance(sum(member.stake for member in config.validators))
        minted = self._bank.mint_to_pot(state, STAKE_POT, total)
        invariant(minted == total, "a consistent genesis stays under the bound on issuance", minted=minted, total=total)
        for epoch in range(LOOKAHEAD_EPOCHS + 1):
            _store_set(state, ValidatorSet(Epoch(epoch), self._elect(state)))

    def on_finalize(self, ctx: Context) -> None:
        self._reward_proposer(ctx)
        epoch = ctx.block.epoch
        if ctx.block.height == compute_last_height(self._config, epoch):
            self._fix_set(ctx, Epoch(epoch + 1 + LOOKAHEAD_EPOCHS))

    # Calls

    def bond(self, ctx: CallContext, arguments: Bond) -> None:
        """Become a validator: stake, commission and four keys; a candidate for the next set that is fixed."""
        state, sender = ctx.state, ctx.sender
        if VALIDATORS.contains(state, sender):
            raise AlreadyValidator("the account is a validator already", account=sender)
        if arguments.amount < self._rules.min_stake:
            raise StakeTooLow(arguments.amount, self._rules.min_stake)
        if arguments.commission_bps > BPS:
            raise CommissionTooHigh("a commission is at most the whole", commission_bps=arguments.commission_bps)
        record = ValidatorRecord(
            arguments.node_id, arguments.score_key, arguments.consensus_key, arguments.certificate_key,
            arguments.commission_bps, is_active=True, jailed_until=Epoch(0),
        )  # fmt: skip
        _require_keys_free(state, sender, record)
        _require_possession(ctx, arguments.consensus_key, arguments.consensus_proof)
        _require_possession(ctx, arguments.certificate_key, arguments.certificate_proof)
        _register(state, sender, record)
        self._add(ctx, sender, sender, arguments.amount)
        ctx.deposit(Bonded(sender, arguments.amount))

    def bond_extra(self, ctx: CallContext, arguments: BondExtra) -> None:
        """Add to one's own stake; what was chilled needs this to reach the minimum again."""
        self._require_validator(ctx.state, ctx.sender)
        self._add(ctx, ctx.sender, ctx.sender, arguments.amount)

    def unbond(self, ctx: CallContext, arguments: Unbond) -> None:
        """Take own stake out. An active validator keeps the minimum; chill or leave to take all."""
        own = self.get_delegation(ctx.state, ctx.sender, ctx.sender)
        is_active = self._require_validator(ctx.state, ctx.sender).is_active
        if is_active and own - arguments.amount < self._rules.min_stake:
            raise StakeTooLow(own - arguments.amount, self._rules.min_stake)
        self._remove(ctx, ctx.sender, ctx.sender, arguments.amount, self._rules.min_delegation)

    def delegate(self, ctx: CallContext, arguments: Delegate) -> None:
        """Put stake behind an active validator, sharing its rewards less commission, and its slashes."""
        if not self._require_validator(ctx.state, arguments.validator).is_active:
            raise ValidatorInactive("a chilled validator takes no stake", validator=arguments.validator)
        if arguments.amount < self._rules.min_delegation:
            raise StakeTooLow(arguments.amount, self._rules.min_delegation)
        self._add(ctx, arguments.validator, ctx.sender, arguments.amount)

    def undelegate(self, ctx: CallContext, arguments: Undelegate) -> None:
        """Take stake back from a validator; it waits like the validator's own."""
        if arguments.validator == ctx.sender:
            self.unbond(ctx, Unbond(arguments.amount))
            return
        self._remove(ctx, arguments.validator, ctx.sender, arguments.amount, self._rules.min_delegation)

    def withdraw(self, ctx: CallContext, arguments: Withdraw) -> None:
        """Get back what has waited long enough."""
        amount = self._ledger.withdraw(ctx.state, arguments.validator, ctx.sender, ctx.block.epoch)
        ctx.deposit(Withdrawn(arguments.validator, ctx.sender, amount))

    def chill(self, ctx: CallContext, arguments: Chill) -> None:
        """Be no candidate for later sets; the two that are fixed are served."""
        self._require_validator(ctx.state, ctx.sender)
        self._chill(ctx, ctx.sender, ctx.block.epoch)

    def resume(self, ctx: CallContext, arguments: Resume) -> None:
        """Be a candidate again."""
        record = self._require_validator(ctx.state, ctx.sender)
        if record.jailed_until > ctx.block.epoch:
            raise StillJailed("the validator may not resume yet", until=record.jailed_until, epoch=ctx.block.epoch)
        own = self.get_delegation(ctx.state, ctx.sender, ctx.sender)
        if own < self._rules.min_stake:
            raise StakeTooLow(own, self._rules.min_stake)
        VALIDATORS.set(ctx.state, ctx.sender, replace(record, is_active=True))
        ctx.deposit(Resumed(ctx.sender))

    def leave(self, ctx: CallContext, arguments: Leave) -> None:
        """Chill and unbond everything of one's own. The keys are free once the last delegator has left too."""
        self._require_validator(ctx.state, ctx.sender)
        self._chill(ctx, ctx.sender, ctx.block.epoch)
        own = self.get_delegation(ctx.state, ctx.sender, ctx.sender)
        self._remove(ctx, ctx.sender, ctx.sender, own, least=0)

    # Services to other pallets

    def slash(
        self, ctx: Context, validator: AccountId, fraction_bps: int, offence_epoch: Epoch, reporter: AccountId | None
    ) -> Stake:
        """Take a fraction of the stake that answers for `offence_epoch`. Returns how much; most of it is burned."""
        total = self._ledger.slash(ctx.state, validator, fraction_bps, offence_epoch, ctx.block.epoch)
        rewarded = Balance(total * self._config.offences.reporter_bps // BPS if reporter is not None else 0)
        if rewarded and reporter is not None:
            self._bank.pay(ctx.state, STAKE_POT, reporter, rewarded)
        self._bank.burn_from_pot(ctx, STAKE_POT, Balance(total - rewarded))
        ctx.deposit(Slashed(validator, total, rewarded))
        return total

    def jail(self, ctx: Context, validator: AccountId) -> None:
        """Chill an offender, who may not resume before its offence has been paid for by all who unbond."""
        if VALIDATORS.contains(ctx.state, validator):
            self._chill(ctx, validator, Epoch(ctx.block.epoch + self._rules.unbonding_epochs))

    # Views

    def get_validator_set(self, state: StateReader, epoch: Epoch) -> ValidatorSet:
        """The set of the state's epoch, of the next one, or of one recent enough for evidence."""
        raw = state.get(SETS.get_key(epoch))
        if raw is None:
            raise EpochUnknown("the validator set of that epoch is not in state", epoch=epoch)
        return _decode_set(raw)

    def get_validators_hash(self, state: StateReader, epoch: Epoch) -> Hash:
        """The hash of that set, as headers name it."""
        found = SET_HASHES.get(state, epoch)
        if found is None:
            raise EpochUnknown("the validator set of that epoch is not in state", epoch=epoch)
        return found

    def get_validator(self, state: StateReader, account: AccountId) -> ValidatorRecord | None:
        """What an account registered as a validator."""
        return VALIDATORS.get(state, account)

    def list_validators(self, state: StateReader) -> Iterator[tuple[AccountId, ValidatorRecord, Pool]]:
        """All registered validators, by account, with their pools."""
        for account, record in VALIDATORS.items(state):
            yield account, record, self._ledger.get_pool(state, account)

    def get_delegation(self, state: StateReader, validator: AccountId, delegator: AccountId) -> Stake:
        """What a delegator (or the validator itself) has in the pool now."""
        return self._ledger.get_delegation(state, validator, delegator)

    def list_releases(self, state: StateReader, account: AccountId) -> Iterator[tuple[AccountId, Epoch, Stake]]:
        """An account's unbonding stake: whose pool it was in, when it is free, how much it is worth now."""
        return self._ledger.list_releases(state, account)

    def get_constants(self) -> Mapping[str, int | str]:
        rules = self._rules
        return {
            "max_validators": rules.max_validators, "min_stake": rules.min_stake,
            "min_delegation": rules.min_delegation, "unbonding_epochs": rules.unbonding_epochs,
            "evidence_age_epochs": rules.evidence_age_epochs, "trusting_epochs": rules.trusting_epochs,
        }  # fmt: skip

    def try_state(self, state: StateReader) -> None:
        self._ledger.try_state(state)
        owned = {key: account for account, record in VALIDATORS.items(state) for key in record.keys}
        invariant(owned == dict(KEY_OWNERS.items(state)), "every key has one owner", keys=len(owned))
        epochs = self._try_sets(state)
        last = epochs[-1] - LOOKAHEAD_EPOCHS  # the state's own epoch, or at a boundary the one after
        pools = self._ledger.list_pools(state)
        registered = [account for account, _ in VALIDATORS.items(state)]
        invariant(pools == registered, "who has a pool is registered", pools=len(pools), registered=len(registered))
        for account, record in VALIDATORS.items(state):
            invariant(record.commission_bps <= BPS, "a commission is at most the whole", account=account)
            is_free = not record.is_active or record.jailed_until <= last
            invariant(is_free, "an offender that is jailed is no candidate", account=account)
        most = last + LOOKAHEAD_EPOCHS + self._rules.unbonding_epochs
        latest = self._ledger.get_latest_release(state)
        invariant(latest <= most, "stake waits for the unbonding time and no longer", latest=latest, most=most)

    def _try_sets(self, state: StateReader) -> list[Epoch]:
        """The epochs whose sets are kept, ascending; each set is one that could have been elected."""
        epochs = [epoch for epoch, _ in SETS.items(state)]
        is_unbroken = (
            epochs == list(range(epochs[0], epochs[-1] + 1)) == [epoch for epoch, _ in SET_HASHES.items(state)]
        )
        invariant(is_unbroken, "sets and their hashes are kept without a hole", epochs=epochs)
        for epoch in epochs:
            members = self.get_validator_set(state, epoch)
            invariant(_hash_set(members) == SET_HASHES.get(state, epoch), "a set's hash is kept with it", epoch=epoch)
            accounts = [member.account for member in members.validators]
            is_ordered = accounts == sorted(set(accounts)) and members.epoch == epoch
            invariant(is_ordered and 0 < len(accounts) <= self._rules.max_validators, "a set is in order", epoch=epoch)
            invariant(all(member.stake for member in members.validators), "a member has stake", epoch=epoch)
        return epochs

    # Inside

    def _require_validator(self, state: StateReader, account: AccountId) -> ValidatorRecord:
        record = VALIDATORS.get(state, account)
        if record is None:
            raise NotValidator("the account is not a validator", account=account)
        return record

    def _add(self, ctx: Context, validator: AccountId, delegator: AccountId, amount: Stake) -> None:
        self._ledger.add(ctx.state, validator, delegator, amount)
        ctx.deposit(Delegated(validator, delegator, amount))

    def _remove(self, ctx: Context, validator: AccountId, delegator: AccountId, amount: Stake, least: int) -> None:
        state = ctx.state
        out, release_epoch = self._ledger.release(state, validator, delegator, amount, least, ctx.block.epoch)
        if not self._ledger.get_pool(state, validator).shares:
            _deregister(state, validator)
        ctx.deposit(Unbonding(validator, delegator, out, release_epoch))

    def _chill(self, ctx: Context, validator: AccountId, until_epoch: Epoch) -> None:
        record = VALIDATORS.require(ctx.state, validator)
        until = Epoch(max(until_epoch, record.jailed_until))
        VALIDATORS.set(ctx.state, validator, replace(record, is_active=False, jailed_until=until))
        ctx.deposit(Chilled(validator, until))

    def _reward_proposer(self, ctx: Context) -> None:
        """Issue the block's reward into the proposer's pool, its commission as shares of its own."""
        state, proposer = ctx.state, ctx.block.proposer
        record, pool = VALIDATORS.get(state, proposer), self._ledger.get_pool(state, proposer)
        if record is None or not pool.is_sound or pool.stake < self._rules.min_stake:
            return
        reward = self._ledger.reward(state, proposer, self._config.balances.block_reward, record.commission_bps)
        if reward:
            ctx.deposit(Rewarded(proposer, reward))

    def _fix_set(self, ctx: Context, epoch: Epoch) -> None:
        """Fix a later epoch's set. With nobody to elect the last one goes on: an empty set could make no block."""
        state = ctx.state
        previous = self.get_validator_set(state, Epoch(epoch - 1))
        members = ValidatorSet(epoch, self._elect(state) or previous.validators)
        ctx.deposit(SetFixed(epoch, _store_set(state, members)))
        oldest = ctx.block.epoch - self._rules.evidence_age_epochs
        if oldest >= 0:
            SETS.delete(state, Epoch(oldest))
            SET_HASHES.delete(state, Epoch(oldest))

    def _elect(self, state: StateReader) -> tuple[Validator, ...]:
        """The candidates with the most stake, ties by account, in ascending order of account."""
        candidates = [
            Validator(
                account, record.node_id, record.score_key, record.consensus_key, record.certificate_key, pool.stake
            )
            for account, record, pool in self.list_validators(state)
            if record.is_active and self.get_delegation(state, account, account) >= self._rules.min_stake
        ]
        candidates.sort(key=lambda candidate: (-candidate.stake, candidate.account))
        return tuple(sorted(candidates[: self._rules.max_validators], key=lambda candidate: candidate.account))


_decode_set = lru_cache(maxsize=32)(VALIDATOR_SET.decode)
_hash_set = lru_cache(maxsize=32)(compute_validators_hash)


def _register(state: State, account: AccountId, record: ValidatorRecord) -> None:
    VALIDATORS.set(state, account, record)
    for key in record.keys:
        KEY_OWNERS.set(state, key, account)


def _deregister(state: State, account: AccountId) -> None:
    record = VALIDATORS.require(state, account)
    VALIDATORS.delete(state, account)
    for key in record.keys:
        KEY_OWNERS.delete(state, key)


def _require_keys_free(state: StateReader, account: AccountId, record: ValidatorRecord) -> None:
    keys = record.keys
    if len({account, *keys}) != len(keys) + 1:
        raise KeyTaken("one key is given two roles", account=account)
    is_account = any(VALIDATORS.contains(state, AccountId(key)) for key in (record.node_id, record.score_key))
    if is_account or any(KEY_OWNERS.contains(state, key) for key in keys):
        raise KeyTaken("a key serves a validator already", account=account)


def _require_possession(ctx: Context, key: bytes, proof: bytes) -> None:
    if not ctx.block.crypto.verify_possession(key, proof):
        raise PossessionNotProven("the proof is not by the key's owner", key=key)


def _store_set(state: State, members: ValidatorSet) -> Hash:
    validators_hash = compute_validators_hash(members)
    SETS.set(state, members.epoch, members)
    SET_HASHES.set(state, members.epoch, validators_hash)
    return validators_hash
