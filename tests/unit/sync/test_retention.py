"""When a snapshot is taken, and what may be pruned."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flockchain.primitives.errors import InvariantBroken
from flockchain.sync.retention import RetentionConfig, compute_prune_height, is_snapshot_due


@given(st.integers(1, 300), st.integers(1, 5_000))
def test_a_snapshot_is_taken_at_the_first_epochs_end_past_every_multiple(epoch_blocks, every):
    config = RetentionConfig(snapshot_blocks=every)
    ends = range(0, 20_000, epoch_blocks)
    due = [end for before, end in pairwise(ends) if is_snapshot_due(config, end, before)]
    if epoch_blocks >= every:
        assert due == list(ends[1:])
    else:
        wanted = {-(-multiple // epoch_blocks) * epoch_blocks for multiple in range(every, 20_000, every)}
        assert set(due) == {end for end in wanted if end <= ends[-1]}


def test_zero_means_no_snapshots_and_nothing_pruned():
    assert not is_snapshot_due(RetentionConfig(snapshot_blocks=0), 1_000, 0)
    assert compute_prune_height(RetentionConfig(), 10_000, 9_990, 9_000) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.none() | st.integers(0, 10**6), st.integers(128, 10**5))
def test_pruning_spares_the_head_the_anchor_the_kept_blocks_and_the_oldest_snapshot(head, anchor, oldest, keep):
    below = compute_prune_height(RetentionConfig(keep_blocks=keep), head, anchor, oldest)
    if below is not None:
        assert 1 < below <= head
        assert below <= anchor
        assert head - below + 1 >= keep
        assert oldest is None or below <= oldest


def test_fewer_blocks_than_states_are_not_kept():
    with pytest.raises(InvariantBroken):
        RetentionConfig(keep_blocks=5)
