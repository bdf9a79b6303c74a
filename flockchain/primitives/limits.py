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
QUIET_VIEWS: Final = 10  # a member that says nothing in so many views is not waited for when it leads
VIEWS_BEHIND_KEPT: Final = 16  # votes and proposals of views further behind than this are forgotten
SIGNER_BITMAP_BYTES_MAX: Final = VALIDATORS_MAX // 8
EVIDENCE_PER_BLOCK_MAX: Final = 16
CERTIFICATES_PER_REPLY_MAX: Final = 64
OWN_VOTES_PER_REPLY_MAX: Final = 64  # votes, and as many certificates, that carry one validator's signature

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
PEERS_MAX: Final = VALIDATORS_MAX + 64  # room for a link to every validator: a relayed vote would be a hop late
PASSED_ON_MAX: Final = 16  # peers to whom one node passes a certificate on
SYNC_BLOCKS_PER_REPLY_MAX: Final = 128
GOSSIP_BATCH_MAX: Final = 1024  # extrinsics in one gossip frame
PEER_QUEUE_FRAMES_MAX: Final = 4096
MET_ADDRESSES_MAX: Final = 512  # addresses that a node keeps on disk
HEARD_ADDRESSES_MAX: Final = 512  # addresses that it has from others only
HEARD_PER_SOURCE_MAX: Final = 64  # of those, from one peer
HEARD_PER_GROUP_MAX: Final = 64  # of those, in one public network (/16, /32)
HEARD_PER_NODE_MAX: Final = 2  # of those, for one node
STANDINGS_MAX: Final = 4096  # peers, and hosts, whose misdeeds a node remembers

# API between a node and its clients
API_MESSAGE_BYTES_MAX: Final = 8 * MIB
API_PAGE_MAX: Final = 256  # entries of one page of a listing
API_EXTRINSICS_PER_CALL_MAX: Final = 512
PROVEN_KEYS_MAX: Final = 64  # state keys proven by one call

# Light clients
TRUSTED_HEADERS_MAX: Final = 32  # verified headers that a light client keeps
CLOCK_DRIFT_MS_MAX: Final = 10_000  # how far a header's time may be ahead of a light client's clock
HEADERS_PER_PROOF_MAX: Final = 4096  # from a header up to the certified one that proves it
TRAIL_HOPS_MAX: Final = 65_536  # light blocks between an anchor and a header
NEAR_EPOCHS_MAX: Final = 8  # a target so few epochs ahead is reached epoch by epoch, one further away by skipping

# State
STATE_KEY_BYTES_MAX: Final = 256
STATE_VALUE_BYTES_MAX: Final = 1 * MIB
STATE_ROOTS_KEPT: Final = 128

# Snapshots of the state, for nodes that join
SNAPSHOT_DEPTH_MAX: Final = 12  # a snapshot has 2**depth chunks
SNAPSHOT_CHUNK_BYTES: Final = 1 * MIB  # the depth is chosen so that no chunk is larger, as far as the deepest allows
SNAPSHOT_CHUNK_BYTES_MAX: Final = 5 * MIB  # larger than this is no chunk: a state that would need one has no snapshot
SNAPSHOT_CHUNK_ENTRIES_MAX: Final = 262_144
SNAPSHOTS_PER_OFFER_MAX: Final = 4
LIGHT_BLOCKS_PER_REPLY_MAX: Final = 64

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
invariant(FRAME_BYTES_MAX > SNAPSHOT_CHUNK_BYTES_MAX + 64 * KIB, "a frame must be able to carry a chunk")
invariant(SNAPSHOT_CHUNK_BYTES_MAX > STATE_VALUE_BYTES_MAX + MIB, "a chunk must be able to carry any value")
invariant(CALL_BYTES_MAX < EXTRINSIC_BYTES_MAX, "an extrinsic must be able to carry a call")
invariant(PROPOSALS_AHEAD_MAX <= VIEWS_AHEAD_MAX, "a proposal carries its leader's vote")
invariant(COMMITTEE_MAX <= VALIDATORS_MAX, "a committee is drawn from the validators")
invariant(TASK_ROUNDS_MAX * 2**15 < 2**31, "an aggregate of int16 means must fit int32")
invariant(10 * SCORE_ABS_MAX < 2**63, "a reputation (at most five times a score) must fit 64 bits")
invariant(EXTRINSICS_PER_BLOCK_MAX <= POOL_EXTRINSICS_MAX, "the pool must be able to fill a block")
invariant(API_MESSAGE_BYTES_MAX > BLOCK_BYTES_MAX + MIB, "an answer must be able to carry a block")
