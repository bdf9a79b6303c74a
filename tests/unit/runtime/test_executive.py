"""Blocks: what makes one invalid, what a leader leaves out, and that nothing but a valid block changes the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flockchain.crypto.signing import compute_reveal_bytes
from flockchain.primitives.block import Block
from flockchain.primitives.errors import InvalidInput, InvariantBroken, Refused
from flockchain.primitives.learning import ScoreCommit
from flockchain.primitives.numbers import (
    AccountId,
    Balance,
    Epoch,
    Hash,
    Height,
    Nonce,
    Round,
    TaskId,
    TimestampMs,
    View,
)
from flockchain.runtime.execution import BLOCK_OUTCOME
from flockchain.runtime.executive import InvalidBlock
from flockchain.runtime.frame import CallContext
from flockchain.runtime.metadata import decode_event
from flockchain.runtime.pallets.balances import Transfer
from flockchain.runtime.pallets.system import ExtrinsicExpired, NonceMismatch, Remark
from flockchain.storage.overlay import Overlay
from tests.kit.runtime_chain import FLOCK, RuntimeChain, get_account, seal

ALICE, BOB = "account-0", "account-1"
ODD = Hash(b"\x07" * 32)


@pytest.fixture
def chain() -> RuntimeChain:
    started = RuntimeChain.start()
    started.advance()
    return started


def transfer(chain: RuntimeChain, sender: str = ALICE, **payload: Any) -> bytes:
    arguments = Transfer(get_account(BOB), Balance(FLOCK))
    return chain.sign(sender, "balances.transfer", arguments, **payload)


def require_invalid(chain: RuntimeChain, block: Block) -> None:
    overlay = Overlay(chain.store)
    with pytest.raises(InvalidBlock):
        chain.executive.apply_block(overlay, block, chain.head)
    assert overlay.changes == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"parent": ODD},
        {"height": Height(3)},
        {"height": Height(1)},
        {"epoch": Epoch(1)},
        {"view": View(1)},
        {"view": View(0)},
        {"timestamp_ms": 1},
        {"proposer": AccountId(ODD)},
        {"inherents_root": ODD},
        {"learning_root": ODD},
        {"extrinsics_root": ODD},
        {"events_root": ODD},
        {"validators_hash": ODD},
        {"next_validators_hash": ODD},
        {"spec_version": 2},
    ],
)
def test_a_header_that_says_something_else_makes_the_block_invalid(chain: RuntimeChain, fields: dict[str, Any]) -> None:
    block = chain.build(transfer(chain))
    require_invalid(chain, replace(block, header=replace(block.header, **fields)))
    chain.apply(block)


def test_a_block_of_another_view_is_valid_only_with_its_own_reveal(chain: RuntimeChain) -> None:
    block = chain.build()
    require_invalid(chain, replace(block, header=replace(block.header, view=View(block.header.view + 1))))


@pytest.mark.parametrize("view", [0, 1])
def test_a_view_that_is_not_after_the_parents_makes_the_block_invalid(chain: RuntimeChain, view: int) -> None:
    draft = chain.draft()
    message = compute_reveal_bytes(chain.runtime.genesis_hash, draft.epoch, View(view))
    reveal = chain.runtime.bls.sign(chain.secrets[draft.proposer].consensus_secret, message)
    draft = replace(draft, view=View(view), reveal=reveal)
    block, _ = chain.executive.build_block(Overlay(chain.store), draft, [])
    require_invalid(chain, block)


def test_a_reveal_that_is_not_the_proposers_signature_makes_the_block_invalid(chain: RuntimeChain) -> None:
    other = chain.draft(proposer=3).reveal
    for reveal in (other, bytes(96), b"\xc0" + bytes(95)):
        require_invalid(chain, seal(chain.build(proposer=0), reveal=reveal))


def test_a_body_that_was_changed_makes_the_block_invalid(chain: RuntimeChain) -> None:
    block = chain.build(transfer(chain))
    require_invalid(chain, replace(block, extrinsics=()))
    require_invalid(chain, seal(block, extrinsics=()))


BROKEN: dict[str, Callable[[RuntimeChain], bytes]] = {
    "nonce ahead": lambda chain: transfer(chain, nonce=Nonce(1)),
    "expired": lambda chain: transfer(chain, birth=Height(0), lifetime_blocks=1),
    "not born": lambda chain: transfer(chain, birth=Height(2)),
    "immortal": lambda chain: transfer(chain, lifetime_blocks=100_000),
    "no money for the tip": lambda chain: transfer(chain, tip=2**63),
    "no money at all": lambda chain: transfer(chain, sender="nobody"),
    "another chain": lambda chain: transfer(
        RuntimeChain.start(replace(chain.runtime.config, chain="other")), birth=Height(1)
    ),
    "another spec version": lambda chain: transfer(chain, spec_version=2),
    "broken signature": lambda chain: transfer(chain)[:-1] + b"\x00",
    "trailing byte": lambda chain: transfer(chain) + b"\x00",
    "truncated": lambda chain: transfer(chain)[:-1],
    "empty": lambda chain: b"",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_block_with_an_extrinsic_that_may_not_be_included_is_invalid(chain: RuntimeChain, name: str) -> None:
    raw = BROKEN[name](chain)
    require_invalid(chain, seal(chain.build(), extrinsics=(raw,)))


@pytest.mark.parametrize("name", BROKEN)
def test_a_leader_leaves_out_what_may_not_be_included(chain: RuntimeChain, name: str) -> None:
    raw = BROKEN[name](chain)
    good = transfer(chain, sender=BOB)
    try:
        checked = chain.executive.check_extrinsic(raw)
    except InvalidInput:
        return
    block, _ = chain.executive.build_block(
        Overlay(chain.store), chain.draft(), [checked, chain.executive.check_extrinsic(good)]
    )
    assert block.extrinsics == (good,)


def test_the_same_extrinsic_is_included_once(chain: RuntimeChain) -> None:
    raw = transfer(chain)
    assert chain.build(raw, raw).extrinsics == (raw,)
    chain.advance(raw)
    assert chain.build(raw).extrinsics == ()


def test_nonces_follow_one_another_within_a_block(chain: RuntimeChain) -> None:
    first, second = transfer(chain), transfer(chain, nonce=Nonce(1))
    assert chain.build(second, first).extrinsics == (first,)
    outcome = chain.advance(first, second)
    assert [receipt.is_success for receipt in outcome.receipts] == [True, True]
    assert chain.get_nonce(ALICE) == 2


def test_a_call_that_fails_late_leaves_only_its_fee_and_nonce(
    chain: RuntimeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Refused):
        pass

    _, call = chain.find_call("system.remark")

    def fail(ctx: CallContext, arguments: Remark) -> None:
        chain.runtime.balances.collect(ctx.state, ctx.sender, "pot", Balance(FLOCK))
        call.handler(ctx, arguments)
        raise Late("the call thinks twice", after=FLOCK)

    failing = replace(call, handler=fail)
    checked = replace(chain.executive.check_extrinsic(chain.sign(ALICE, "system.remark", Remark(b"x"))), call=failing)
    overlay = Overlay(chain.store)
    _, outcome = chain.executive.build_block(overlay, chain.draft(), [checked])
    assert outcome.receipts[0].refusal == f"the call thinks twice (after={FLOCK})"
    free = chain.get_balance(ALICE) - outcome.receipts[0].fee
    assert chain.runtime.views.get_balance(overlay, get_account(ALICE)) == free
    assert chain.runtime.balances.get_pot(overlay, "pot") == 0
    names = [decode_event(chain.runtime, raw).name for raw in outcome.events]
    assert names == ["ExtrinsicApplied", "FeesShared", "Rewarded"]


def test_a_call_that_breaks_an_invariant_is_in_no_block(chain: RuntimeChain) -> None:
    _, call = chain.find_call("system.remark")

    def break_it(ctx: CallContext, arguments: Remark) -> None:
        raise InvariantBroken("this must not happen")

    checked = chain.executive.check_extrinsic(chain.sign(ALICE, "system.remark", Remark(b"x")))
    broken = replace(checked, call=replace(call, handler=break_it))
    overlay = Overlay(chain.store)
    block, _ = chain.executive.build_block(overlay, chain.draft(), [broken])
    assert block.extrinsics == ()
    assert chain.runtime.views.get_nonce(overlay, get_account(ALICE)) == 0


def test_learning_items_that_are_not_valid_now_are_left_out(chain: RuntimeChain) -> None:
    commit = ScoreCommit(TaskId(0), Round(0), get_account("validator-0"), ODD, bytes(64))
    assert chain.build(learning=[commit]).learning == ()
    require_invalid(chain, seal(chain.build(), learning=(commit,)))


def test_a_block_holds_no_more_weight_than_allowed(chain: RuntimeChain) -> None:
    config = chain.runtime.config
    weight = chain.executive.check_extrinsic(transfer(chain)).weight
    small = RuntimeChain.start(replace(config, blocks=replace(config.blocks, max_weight=3 * weight)))
    raws = [transfer(small, nonce=Nonce(nonce)) for nonce in range(5)]
    block = small.build(*raws)
    assert block.extrinsics == tuple(raws[:3])
    require_invalid(small, seal(block, extrinsics=tuple(raws[:4])))


def test_a_block_holds_no_more_bytes_than_allowed(chain: RuntimeChain) -> None:
    config = chain.runtime.config
    small = RuntimeChain.start(replace(config, blocks=replace(config.blocks, max_bytes=66_000)))
    raws = [small.sign(ALICE, "system.remark", Remark(bytes(1024)), nonce=Nonce(nonce)) for nonce in range(70)]
    block = small.build(*raws)
    size = sum(len(raw) for raw in block.extrinsics)
    assert 66_000 - 3 * 1024 < size < 66_000
    require_invalid(small, seal(block, extrinsics=tuple(raws)))


def test_what_is_left_out_gives_its_room_back(chain: RuntimeChain) -> None:
    config = chain.runtime.config
    small = RuntimeChain.start(replace(config, blocks=replace(config.blocks, max_bytes=66_000)))
    raw = transfer(small)
    block = small.build(raw, evidence=[bytes([number]) * 2000 for number in range(2, 60)])
    assert (block.evidence, block.extrinsics) == ((), (raw,))


def test_a_draft_that_runs_behind_its_parent_takes_the_parents_time(chain: RuntimeChain) -> None:
    draft = replace(chain.draft(), timestamp_ms=TimestampMs(1))
    block, _ = chain.executive.build_block(Overlay(chain.store), draft, [])
    assert block.header.timestamp_ms == chain.head.timestamp_ms


def test_admission_refuses_what_no_block_could_hold(chain: RuntimeChain) -> None:
    def admit(raw: bytes, pending: int = 0) -> None:
        chain.executive.require_admissible(chain.store, chain.executive.check_extrinsic(raw), Nonce(pending))

    admit(transfer(chain))
    admit(transfer(chain, nonce=Nonce(5)))
    admit(transfer(chain, birth=Height(chain.height + 3)))
    with pytest.raises(ExtrinsicExpired):
        admit(transfer(chain, birth=Height(0), lifetime_blocks=1))
    with pytest.raises(ExtrinsicExpired):
        admit(transfer(chain, birth=Height(chain.height + 1000)))
    with pytest.raises(NonceMismatch):
        admit(transfer(chain, nonce=Nonce(10_000)))
    with pytest.raises(Refused, match="too little"):
        admit(transfer(chain, sender="nobody"))
    late = transfer(chain)
    chain.advance(late)
    with pytest.raises(NonceMismatch):
        admit(late, pending=1)


def test_an_outcome_survives_its_encoding(chain: RuntimeChain) -> None:
    outcome = chain.advance(transfer(chain), chain.sign(BOB, "balances.transfer", Transfer(AccountId(ODD), Balance(1))))
    assert [receipt.is_success for receipt in outcome.receipts] == [True, False]
    assert BLOCK_OUTCOME.decode(BLOCK_OUTCOME.encode(outcome)) == outcome
    assert outcome.weight == sum(receipt.weight for receipt in outcome.receipts)


def test_two_executions_of_a_block_give_the_same_changes_and_events(chain: RuntimeChain) -> None:
    block = chain.build(transfer(chain), transfer(chain, sender=BOB))
    overlays = Overlay(chain.store), Overlay(chain.store)
    outcomes = [chain.executive.apply_block(overlay, block, chain.head) for overlay in overlays]
    assert outcomes[0] == outcomes[1]
    assert overlays[0].changes == overlays[1].changes
