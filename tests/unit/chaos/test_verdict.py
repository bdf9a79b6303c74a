"""The checker of a chaos run finds what it is there to find."""

from __future__ import annotations

import json

import pytest

from flockchain.consensus.guard import GUARD_RECORD, FloorRecord, VoteRecord
from flockchain.primitives.vote import VoteKind
from flockchain.storage.journal import open_journal
from tools.chaos.faults import Faults
from tools.chaos.run import is_good
from tools.chaos.verdict import Votes, check_chain

A, B = "aa" * 32, "bb" * 32
GOOD = {"hashes": ["00", "01", "02"], "places": {"x": [2, "02"]}}


@pytest.fixture
def witness(tmp_path):
    def write(*records):
        file = tmp_path / "records"
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        return {"v": file}

    return write


def final(height, block_hash, *ours):
    return {"kind": "final", "height": height, "hash": block_hash, "ours": list(ours)}


def test_a_run_in_which_nothing_was_lost_has_no_faults(witness):
    records = witness(
        {"kind": "status", "height": 0, "hash": "00"},
        final(1, "01"),
        final(2, "02", "x"),
        {"kind": "status", "height": 2, "hash": "02"},
    )
    findings = check_chain(records, {"v": GOOD, "w": GOOD})
    assert findings.faults == []
    assert (findings.blocks, findings.reports, findings.extrinsics) == (2, 2, 1)


def test_different_chains_are_found(witness):
    other = {**GOOD, "hashes": ["00", "01", "ff"]}
    assert "different chains" in check_chain(witness(), {"v": GOOD, "w": other}).faults[0]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (final(3, "03"), "lost height 3"),
        (final(1, "ff"), "another block at 1"),
        (final(2, "02", "y"), "does not have extrinsic y"),
        (final(1, "01", "x"), "does not have extrinsic x where"),
    ],
)
def test_what_was_reported_and_is_not_there_is_found(witness, record, fault):
    assert any(fault in found for found in check_chain(witness(record), {"v": GOOD}).faults)


def test_a_height_that_fell_across_a_restart_is_found(witness):
    records = witness(final(2, "02"), {"kind": "status", "height": 1, "hash": "01"})
    assert check_chain(records, {"v": GOOD}).faults == ["v fell from height 2 to 1"]


def test_a_last_line_that_was_torn_off_is_not_read(witness, tmp_path):
    records = witness(final(1, "01"))
    with records["v"].open("a") as sink:
        sink.write('{"kind": "final", "hei')
    assert check_chain(records, {"v": GOOD}).reports == 1


@pytest.mark.parametrize(
    ("votes", "found"),
    [
        ([("NOTARIZE", A), ("NOTARIZE", A), ("FINALIZE", A)], 0),
        ([("NOTARIZE", A), ("NULLIFY", B)], 0),
        ([("NOTARIZE", A), ("NOTARIZE", B)], 1),
        ([("FINALIZE", A), ("FINALIZE", B)], 1),
        ([("FINALIZE", A), ("NULLIFY", B)], 1),
    ],
)
def test_votes_that_exclude_each_other_are_found(tmp_path, votes, found):
    heard = tmp_path / "heard"
    heard.write_text("".join(json.dumps({"vote": [1, 7, kind, block, "0"]}) + "\n" for kind, block in votes))
    seen = Votes()
    seen.hear(heard)
    assert len(seen.find_contradictions()) == found


def write_journal(folder, *records):
    journal = open_journal(folder / "votes.journal")
    for record in records:
        journal.append(GUARD_RECORD.encode(record))
    journal.close()
    return folder


def vote(view, kind=VoteKind.NULLIFY, epoch=0):
    return VoteRecord(epoch, kind, view, bytes(32), 0, None, None)


def test_a_vote_that_others_heard_and_the_journal_lacks_is_found(tmp_path):
    heard = tmp_path / "heard"
    heard.write_text(json.dumps({"vote": [0, 8, "NULLIFY", "00" * 32, "0"]}) + "\n")
    seen = Votes()
    seen.hear(heard)
    seen.read_journal(write_journal(tmp_path / "one", vote(7), vote(8)), "0")
    seen.read_journal(write_journal(tmp_path / "two", vote(7)), "1")
    assert seen.unjournaled == []
    seen.read_journal(write_journal(tmp_path / "three", FloorRecord(0, 8), vote(9)), "0")
    assert seen.unjournaled == []  # settled: the journal may have dropped it
    seen.read_journal(write_journal(tmp_path / "four", vote(7)), "0")
    assert sorted(seen.unjournaled) == [  # the second one was on its own disk before
        "signer 0 in epoch 0, view 8: NULLIFY", "signer 0 in epoch 0, view 9: NULLIFY",
    ]  # fmt: skip
    assert seen.journals == 4


def test_what_the_observer_heard_is_taken_in_once(tmp_path):
    heard, seen = tmp_path / "heard", Votes()
    for view in (1, 2):
        with heard.open("a") as sink:
            sink.write(json.dumps({"vote": [0, view, "NOTARIZE", A, "2"]}) + "\n")
        seen.hear(heard)
    assert seen.count == 2


def test_groups_cut_one_another_off_and_nobody_else():
    faults = Faults(groups=(("a", "b"), ("c",)))
    assert faults.is_cut("a", "c")
    assert not faults.is_cut("a", "b")
    assert not faults.is_cut("a", "observer")
    assert not Faults().is_cut("a", "c")


CLEAN = {"lost": [], "signed_twice": [], "said_before_written": []}


@pytest.mark.parametrize("fault", list(CLEAN))
def test_a_run_with_any_fault_is_not_good(fault):
    figures = {"verdict": CLEAN, "timeouts": {"view_ms": 4_000}, "partitions": [{"first_block_s": 7.9}]}
    assert is_good(figures)
    assert not is_good({**figures, "verdict": {**CLEAN, fault: ["found"]}})
    assert not is_good({**figures, "partitions": [{"first_block_s": 8.1}]})
