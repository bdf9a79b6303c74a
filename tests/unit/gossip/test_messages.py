"""Every message survives its own bytes, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flockchain.gossip import messages as wire
from flockchain.light.light_block import LightBlock
from flockchain.primitives.codec import DecodeError, EncodeError
from flockchain.primitives.learning import AggregateVote, ScoreCommit
from flockchain.primitives.limits import FRAME_BYTES_MAX, GOSSIP_BATCH_MAX
from flockchain.primitives.vote import Certificate, Proposal, Vote, VoteKind
from flockchain.storage.snapshot import SnapshotInfo
from tests.kit.blocks import build_block, build_header
from tests.kit.keys import build_validator_set

HASH = bytes(range(32))
VOTE = Vote(VoteKind.NOTARIZE, 1, 2, HASH, 3, bytes(96))
CERTIFICATE = Certificate(VoteKind.FINALIZE, 1, 2, HASH, b"\x07", bytes(96))
EACH = [
    wire.ProposalMessage(Proposal(5, 4, build_block(), bytes(96))),
    wire.VoteMessage(VOTE),
    wire.CertificateMessage(CERTIFICATE),
    wire.ExtrinsicsMessage((b"one", b"two")),
    wire.LearningMessage((ScoreCommit(1, 2, HASH, HASH, bytes(64)),)),
    wire.AggregateVoteMessage(AggregateVote(1, 2, HASH, HASH, 77, HASH, bytes(96))),
    wire.StatusMessage(9, HASH, 1, 4),
    wire.BlocksRequest(3, 128),
    wire.BlocksReply((build_block(),), CERTIFICATE),
    wire.BlockRequest(HASH),
    wire.BlockReply(build_block()),
    wire.CertificatesRequest(1, 7),
    wire.CertificatesReply((CERTIFICATE, CERTIFICATE)),
    wire.EvidenceMessage(b"evidence"),
    wire.NeighboursMessage((wire.Neighbour(HASH, "127.0.0.1:9700"),)),
    wire.SnapshotsRequest(),
    wire.SnapshotsReply((SnapshotInfo(8, HASH, HASH, 3),)),
    wire.ChunkRequest(8, 5),
    wire.ChunkReply(8, 5, b"chunk"),
    wire.LightBlocksRequest(2, 64),
    wire.LightBlocksReply((LightBlock(build_header(), CERTIFICATE, build_validator_set()),)),
    wire.BlocksPruned(900),
    wire.OwnVotesRequest(HASH, 3),
    wire.OwnVotesReply((VOTE,), (CERTIFICATE,)),
]


@pytest.mark.parametrize("message", EACH, ids=lambda message: type(message).__name__)
def test_a_message_decodes_to_itself_and_names_its_kind(message):
    data = wire.encode_message(message)
    assert wire.decode_message(data) == message
    assert wire.encode_message(wire.decode_message(data)) == data
    assert wire.compute_message_kind(data) is list(wire.MessageKind)[EACH.index(message)]


def test_every_kind_is_in_the_list_above():
    assert [int(kind) for kind in wire.MessageKind] == list(range(len(EACH)))


@pytest.mark.parametrize("message", EACH, ids=lambda message: type(message).__name__)
def test_a_message_that_is_cut_short_or_continued_is_refused(message):
    data = wire.encode_message(message)
    for broken in (data[:-1], data + b"\0"):
        with pytest.raises(DecodeError):
            wire.decode_message(broken)


@pytest.mark.parametrize("data", [b"", b"\xff", bytes([len(EACH)])])
def test_an_unknown_kind_is_refused(data):
    with pytest.raises(DecodeError):
        wire.compute_message_kind(data)
    with pytest.raises(DecodeError):
        wire.decode_message(data)


def test_a_frame_over_the_limit_is_refused_before_it_is_read():
    with pytest.raises(DecodeError, match="over its limit"):
        wire.decode_message(bytes([wire.MessageKind.PROPOSAL]) + bytes(FRAME_BYTES_MAX))


def test_a_batch_over_its_limit_can_be_neither_sent_nor_received():
    with pytest.raises(EncodeError):
        wire.encode_message(wire.ExtrinsicsMessage((b"",) * (GOSSIP_BATCH_MAX + 1)))
    forged = bytes([wire.MessageKind.EXTRINSICS]) + (GOSSIP_BATCH_MAX + 1).to_bytes(4, "big")
    with pytest.raises(DecodeError, match="over its limit"):
        wire.decode_message(forged + bytes(4 * (GOSSIP_BATCH_MAX + 1)))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_decode_to_something_that_encodes_back_or_are_refused(data):
    try:
        message = wire.decode_message(data)
    except DecodeError:
        return
    assert wire.encode_message(message) == data
