"""Records a small chain in which everything happens that a block can hold, with real signatures.

    python -m tools.chain_vector.record

Writes tests/vectors/chain: the genesis, the blocks with their certificates, and what executing them gives. Run it only
when the protocol changes on purpose: a root that changes by accident forks every chain.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from flockchain.crypto.bls import get_default_backend
from flockchain.crypto.hashing import sha256
from flockchain.crypto.voting import sign_vote
from flockchain.primitives.block import BLOCK
from flockchain.primitives.errors import invariant
from flockchain.primitives.evidence import EVIDENCE, ScoreEvidence, VoteEvidence
from flockchain.primitives.learning import SCORE_COMMIT, Phase, UpdateStatus
from flockchain.primitives.numbers import Epoch, Hash, Height, Stake, TaskId, View
from flockchain.primitives.rounds import TaskStatus
from flockchain.primitives.vote import CERTIFICATE, VOTE, Vote, VoteKind
from flockchain.runtime.dev_keys import build_genesis_validator, derive_dev_keys
from flockchain.runtime.pallets.balances import Transfer, TransferAll
from flockchain.runtime.pallets.staking import Bond, BondExtra, Delegate, Unbond, Undelegate, Withdraw
from flockchain.runtime.pallets.system import Remark
from flockchain.runtime.pallets.tasks import CancelTask, CreateTask
from tests.kit.api_chain import ArchivedChain
from tests.kit.learning import LearningChain, build_spec
from tests.kit.runtime_chain import FLOCK, GENESIS_FOLDER, get_account
from tools.chain_vector.replay import FOLDER, replay

__all__ = ["main"]

NEWCOMER, DELEGATOR = "account-3", "account-4"
BLOCKS_LEAST = 40
SCORES, OTHERS = (900, -200, 40), (10, 20, UpdateStatus.ABSTAIN)


def main() -> int:
    """Play, write and replay."""
    chain = ArchivedChain.open()
    secrets = derive_dev_keys(NEWCOMER)
    chain.secrets[secrets.account] = secrets
    play(chain)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "genesis.toml").write_bytes((GENESIS_FOLDER / "minimal.toml").read_bytes())
    write(chain, None)
    write(chain, replay(get_default_backend(), rebuild=True, certificates=True))
    print(f"{chain.height} blocks, state root {chain.head.state_root.hex()}")
    return 0


def play(chain: ArchivedChain) -> None:
    """Every call of every pallet, evidence of both kinds, and two learning rounds."""
    spec = build_spec(rounds=2)
    world = LearningChain(chain, TaskId(0), spec)
    call(chain, ("faucet", "tasks.create", CreateTask(spec)), (NEWCOMER, "staking.bond", build_bond()),
         ("account-0", "balances.transfer", Transfer(get_account("account-1"), 5 * FLOCK)),
         ("account-2", "system.remark", Remark("ünïcödé".encode())))  # fmt: skip
    call(chain, ("faucet", "tasks.create", CreateTask(build_spec(name="a second one"))),
         (DELEGATOR, "staking.delegate", Delegate(get_account("validator-0"), Stake(50 * FLOCK))),
         ("validator-1", "staking.bond_extra", BondExtra(Stake(10 * FLOCK))))  # fmt: skip
    call(chain, ("faucet", "tasks.cancel", CancelTask(TaskId(1))),
         (DELEGATOR, "staking.undelegate", Undelegate(get_account("validator-0"), Stake(20 * FLOCK))),
         ("validator-1", "staking.unbond", Unbond(Stake(5 * FLOCK))),
         ("validator-2", "staking.chill", None))  # fmt: skip
    chain.advance(
        chain.sign("validator-2", "staking.resume"),
        chain.sign("account-1", "balances.transfer", Transfer(get_account("account-0"), 2**127), tip=77),
        evidence=(build_double_vote(chain, 3),),
    )
    play_round(world, with_double_commit=True)
    play_round(world)
    invariant(world.record.status is TaskStatus.FINISHED, "two rounds are played", status=world.record.status)
    call(chain, ("account-7", "balances.transfer_all", TransferAll(get_account("account-6"))))
    while chain.height < BLOCKS_LEAST - 2:
        chain.advance()
    call(
        chain, (DELEGATOR, "staking.withdraw", Withdraw(get_account("validator-0"))), (NEWCOMER, "staking.leave", None)
    )
    chain.advance()


def play_round(world: LearningChain, *, with_double_commit: bool = False) -> None:
    """Submit, commit, reveal, certify; one member says two things if asked to."""
    world.submit_all()
    world.advance_to(Phase.COMMIT)
    if with_double_commit:
        pair = sorted((world.build_commit(0, SCORES), world.build_commit(0, (1, 2, 3))), key=SCORE_COMMIT.encode)
        world.chain.advance(evidence=(EVIDENCE.encode(ScoreEvidence(*pair)),))
    committee = range(len(world.round.committee))
    votes = [OTHERS if place == 2 else SCORES for place in committee]
    world.commit_all(*votes)
    world.reveal_all(*votes)
    world.advance_to(Phase.AGGREGATE)
    world.advance(world.build_certificate(committee))


def call(chain: ArchivedChain, *calls: tuple[str, str, Any]) -> None:
    """One block with these calls, each of which succeeds."""
    outcome = chain.advance(*[chain.sign(sender, name, arguments) for sender, name, arguments in calls])
    refusals = [receipt.refusal for receipt in outcome.receipts if not receipt.is_success]
    invariant(len(outcome.receipts) == len(calls), "a block holds all calls", held=len(outcome.receipts))
    invariant(not refusals, "all calls succeed", refusals=refusals)


def build_bond() -> Bond:
    """The newcomer's keys and stake."""
    member = build_genesis_validator(derive_dev_keys(NEWCOMER), get_default_backend(), Stake(2_000 * FLOCK), 500)
    return Bond(
        member.stake, member.commission_bps, member.node_id, member.score_key, member.consensus_key,
        member.consensus_proof, member.certificate_key, member.certificate_proof,
    )  # fmt: skip


def build_double_vote(chain: ArchivedChain, signer: int) -> bytes:
    """Two notarizations of one member in one view."""
    secret = chain.secrets[chain.members.validators[signer].account].consensus_secret
    votes = []
    for text in (b"one", b"two"):
        subject = (VoteKind.NOTARIZE, Epoch(0), View(2), Hash(sha256(text)))
        signature = sign_vote(chain.runtime.bls, chain.runtime.genesis_hash, secret, *subject)
        votes.append(Vote(*subject, signer, signature))
    return EVIDENCE.encode(VoteEvidence(*sorted(votes, key=VOTE.encode)))


def write(chain: ArchivedChain, expected: dict[str, Any] | None) -> None:
    """The file: blocks and certificates, and what they must give."""
    blocks = []
    for number in range(1, chain.height + 1):
        block, certificate = chain.archive.get_block(Height(number)), chain.archive.get_certificate(Height(number))
        invariant(block is not None and certificate is not None, "blocks are final one by one", height=number)
        encoded = {"block": BLOCK.encode(block).hex(), "certificate": CERTIFICATE.encode(certificate).hex()}
        blocks.append(encoded if expected is None else {**encoded, **expected["blocks"][number - 1]})
    document = {"genesis_hash": chain.runtime.genesis_hash.hex(), "blocks": blocks}
    (FOLDER / "blocks.json").write_text(json.dumps(document, indent=0) + "\n")


if __name__ == "__main__":
    sys.exit(main())
