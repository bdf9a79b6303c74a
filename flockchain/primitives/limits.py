"""Every limit of the protocol, named, with its unit, and the relations between them.

A value here is the code's: it is the same on every chain. What a chain may choose is in genesis,
what an operator may choose is in node.toml.
"""

from __future__ import annotations

from typing import Final

from flockchain.primitives.errors import invariant

KIB: Final = 1024
MIB: Final = 1024 * KIB

# Consensus
VALIDATORS_MAX: Final = 256  # members of one epoch's set
VIEWS_AHEAD_MAX: Final = 64  # votes for views further ahead than this are dropped
PROPOSALS_AHEAD_MAX: Final = 8  # proposals (whole blocks) for views further ahead than this are dropped
VIEWS_BEHIND_KEPT: Final = 16  # votes and proposals of views further behind than this are forgotten
SIGNER_BITMAP_BYTES_MAX: Final = VALIDATORS_MAX // 8
EVIDENCE_PER_BLOCK_MAX: Final = 16
CERTIFICATES_PER_REPLY_MAX: Final = 64

# Blocks
EXTRINSIC_BYTES_MAX: Final = 64 * KIB
EXTRINSICS_PER_BLOCK_MAX: Final = 4096
LEARNING_ITEMS_PER_BLOCK_MAX: Final = 256
BLOCK_BYTES_MAX: Final = 4 * MIB
EVENTS_PER_BLOCK_MAX: Final = 65_536
CALL_BYTES_MAX: Final = 60 * KIB

# Mempool
POOL_EXTRINSICS_MAX: Final = 20_000
POOL_PER_SENDER_MAX: Final = 512
POOL_BYTES_MAX: Final = 64 * MIB

# Wire between peers
FRAME_BYTES_MAX: Final = 6 * MIB
PEERS_MAX: Final = 64
SYNC_BLOCKS_PER_REPLY_MAX: Final = 128
GOSSIP_BATCH_MAX: Final = 1024  # extrinsics in one gossip frame
PEER_QUEUE_FRAMES_MAX: Final = 4096

# API between a node and its clients
API_MESSAGE_BYTES_MAX: Final = 8 * MIB
API_PAGE_MAX: Final = 256  # entries of one page of a listing
API_EXTRINSICS_PER_CALL_MAX: Final = 512

# State
STATE_KEY_BYTES_MAX: Final = 256
STATE_VALUE_BYTES_MAX: Final = 1 * MIB
STATE_ROOTS_KEPT: Final = 128

# Blobs
CHUNK_BYTES: Final = 256 * KIB
BLOB_BYTES_MAX: Final = 256 * MIB

# Learning
TASK_NAME_BYTES_MAX: Final = 64
MODULE_NAME_BYTES_MAX: Final = 160
ADAPTER_MODULES_MAX: Final = 1024
LORA_RANK_MAX: Final = 256
COMMITTEE_MAX: Final = 64
UPDATES_PER_ROUND_MAX: Final = 128
AUDIT_ROWS_MAX: Final = 16
MERKLE_PROOF_HASHES_MAX: Final = 40
PROMPTS_PER_ROUND_MAX: Final = 16_384
SUITE_ROWS_MAX: Final = 1_000_000
SUITE_ROW_BYTES_MAX: Final = 16 * KIB
TASK_ROUNDS_MAX: Final = 65_535  # so a sum of as many int16 means stays inside int32
PHASE_BLOCKS_MAX: Final = 1_000_000
FEATURES_MAX: Final = 1 << 20  # inputs or outputs of one adapted layer
SCALE_BITS_MAX: Final = 40
SCORE_ABS_MAX: Final = 10**12  # micro-nats: a score, a loss or a threshold beyond a million nats is no measurement
DUE_TASKS_PER_BLOCK_MAX: Final = 64  # tasks whose round moves in one block; more wait for the next

invariant(FRAME_BYTES_MAX > BLOCK_BYTES_MAX, "a frame must be able to carry a block")
invariant(CALL_BYTES_MAX < EXTRINSIC_BYTES_MAX, "an extrinsic must be able to carry a call")
invariant(PROPOSALS_AHEAD_MAX <= VIEWS_AHEAD_MAX, "a proposal carries its leader's vote")
invariant(COMMITTEE_MAX <= VALIDATORS_MAX, "a committee is drawn from the validators")
invariant(TASK_ROUNDS_MAX * 2**15 < 2**31, "an aggregate of int16 means must fit int32")
invariant(10 * SCORE_ABS_MAX < 2**63, "a reputation (at most five times a score) must fit 64 bits")
invariant(EXTRINSICS_PER_BLOCK_MAX <= POOL_EXTRINSICS_MAX, "the pool must be able to fill a block")
invariant(API_MESSAGE_BYTES_MAX > BLOCK_BYTES_MAX + MIB, "an answer must be able to carry a block")
