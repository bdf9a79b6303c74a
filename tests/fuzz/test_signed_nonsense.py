"""Well-formed nonsense with good signatures: calls, items and evidence that decode and mean nothing sensible.

Nobody is stopped by it: a leader builds a block with what is valid of it, everybody executes that block to the same
state, the pallets find no contradiction in it, and a block that holds the rest is refused as a whole.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from flockchain.crypto.hashing import compute_learning_root
from flockchain.primitives.evidence import EVIDENCE
from flockchain.primitives.learning import LEARNING_ITEM, Phase
from flockchain.runtime.executive import InvalidBlock, Receipt
from flockchain.storage.overlay import Overlay
from tests.fuzz.encodings import build_value
from tests.kit.learning import LearningChain
from tests.kit.runtime_chain import RuntimeChain, get_account

SEED = 13
CALLS = 60  # of each kind
ITEMS = 400
SENDERS = ("faucet", "validator-0", "validator-1", "account-0", "account-1", "account-2")
CALL_NAMES = [f"{pallet.name}.{call.name}" for pallet in RuntimeChain.start().runtime.pallets for call in pallet.calls]


def aim(rng: random.Random, value: object) -> object:
    """The same arguments, often with an account that exists, an amount that somebody has, or the first task."""
    changes: dict[str, object] = {}
    for name in ("target", "validator"):
        if hasattr(value, name) and rng.random() < 0.8:
            changes[name] = get_account(rng.choice(SENDERS))
    if hasattr(value, "amount") and rng.random() < 0.7:
        changes["amount"] = rng.choice((0, 1, 10**6, 10**10, 10**12, 2 * 10**12, 5 * 10**15))
    for name in ("task", "round"):
        if hasattr(value, name) and rng.random() < 0.7:
            changes[name] = rng.choice((0, 0, 0, 1))
    return replace(value, **changes) if changes else value  # type: ignore[type-var]


@pytest.mark.parametrize("name", CALL_NAMES)
def test_any_arguments_of_a_call_end_in_a_receipt(name: str) -> None:
    world = LearningChain.start()
    chain = world.chain
    rng = random.Random(f"{SEED}/{name}")
    _, call = chain.find_call(name)
    receipts: list[Receipt] = []
    for number in range(0, CALLS, len(SENDERS)):
        raws = []
        for sender in SENDERS:
            arguments = aim(rng, build_value(rng, call.arguments))
            tip = rng.choice((0, 0, 1, 2**40, 2**64 - 1))
            raws.append(chain.sign(sender, name, arguments, tip=tip))
        try:
            outcome = chain.advance(*raws)
        except Exception as error:
            pytest.fail(f"seed {SEED}, {name}, calls {number} to {number + len(SENDERS)}: {error!r}")
        receipts += outcome.receipts
    assert len(receipts) >= CALLS // 6  # the others cannot pay their tip
    for _ in range(3 * chain.runtime.config.epoch_blocks):  # what was accepted has its consequences at epochs' ends
        chain.advance()


@pytest.mark.parametrize("phase", [Phase.SUBMIT, Phase.COMMIT, Phase.REVEAL, Phase.AGGREGATE])
def test_no_item_that_nobody_signed_gets_into_a_block(phase: Phase) -> None:
    world = LearningChain.start()
    chain = world.chain
    scores = (900, -200, 40)
    if phase is not Phase.SUBMIT:
        world.submit_all()
        world.advance_to(Phase.COMMIT)
    if phase in (Phase.REVEAL, Phase.AGGREGATE):
        world.commit_all(scores)
    if phase is Phase.AGGREGATE:
        world.reveal_all(scores)
        world.advance_to(Phase.AGGREGATE)
    rng = random.Random(f"{SEED}/{phase.name}")
    members = [member.account for member in world.round.committee]
    items = []
    for _ in range(ITEMS):
        item = aim(rng, build_value(rng, LEARNING_ITEM))
        if members and hasattr(item, "voter"):
            item = replace(item, voter=rng.choice(members))  # type: ignore[type-var]
        items.append(item)
    evidence = [EVIDENCE.encode(build_value(rng, EVIDENCE)) for _ in range(ITEMS // 4)]
    block = chain.build(learning=items, evidence=evidence)
    assert (block.learning, block.evidence) == ((), ())
    for item in rng.sample(items, 20):
        header = replace(block.header, learning_root=compute_learning_root((item,)))
        overlay = Overlay(chain.store)
        with pytest.raises(InvalidBlock):
            chain.executive.apply_block(overlay, replace(block, header=header, learning=(item,)), chain.head)
        assert overlay.changes == {}
    chain.apply(block)
