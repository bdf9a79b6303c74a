"""R15: a leader that has been gone for long is not waited for; whoever says a word is back."""

from __future__ import annotations

import pytest

from flockchain.consensus import effects as fx
from flockchain.consensus import events as ev
from flockchain.consensus.presence import Presence
from flockchain.consensus.timers import TimerKind
from flockchain.primitives.limits import QUIET_VIEWS
from flockchain.primitives.numbers import ZERO_HASH, View
from flockchain.primitives.vote import VoteKind
from tests.kit.consensus_playbook import Playbook, Room, get_node_id, only

NOTARIZE, NULLIFY, FINALIZE = VoteKind
GONE = 3


@pytest.fixture
def room() -> Room:
    return Room.build()


def pass_views(presence: Presence, views: int, heard: tuple[int, ...], leader: int = 0) -> None:
    for view in range(1, views + 1):
        for member in heard:
            presence.on_word(member)
        presence.on_view_over(View(view), leader)


def test_a_member_is_gone_after_ten_views_without_a_word_and_back_after_one_word(room: Room) -> None:
    presence = Presence(room.context.validators, None)
    pass_views(presence, QUIET_VIEWS - 1, (0, 1, 2))
    assert not presence.is_gone(GONE)
    pass_views(presence, 1, (0, 1, 2))
    assert presence.is_gone(GONE)
    assert not any(presence.is_gone(member) for member in (0, 1, 2))
    pass_views(presence, 1, (0, 1, 2, GONE))
    assert not presence.is_gone(GONE)


def test_whoever_hears_from_no_quorum_counts_nobody_as_gone(room: Room) -> None:
    presence = Presence(room.context.validators, None)
    pass_views(presence, 5 * QUIET_VIEWS, (0, 1))
    assert not any(presence.is_gone(member) for member in range(4))


def test_views_of_a_silent_leader_are_excused_and_those_of_a_live_one_are_not(room: Room) -> None:
    presence = Presence(room.context.validators, None)
    pass_views(presence, 8, (0, 1, 2), leader=0)
    assert presence.count_excused(View(0)) == 0
    presence = Presence(room.context.validators, None)
    pass_views(presence, 8, (0, 1, 2), leader=GONE)
    assert presence.count_excused(View(0)) == 6  # in the first two it might have been far away
    assert presence.count_excused(View(5)) == 3


def test_views_of_silent_leaders_do_not_lengthen_the_time_outs_and_views_of_live_ones_do(room: Room) -> None:
    lengths = []
    for heard in ((1, 2), (1, 2, GONE)):
        book = Playbook(room, 0)
        book.start()
        live_through(book, room, heard)
        lengths.append([each.after_ms for each in only(book.log, fx.SetTimer) if each.timer.kind is TimerKind.LEADER])
    assert sum(lengths[0]) < sum(lengths[1])


def live_through(book: Playbook, room: Room, heard: tuple[int, ...]) -> int:
    """Views end by nullification, with a word from each of `heard`, until one begins that GONE leads."""
    view = 1
    while not (room.get_leader(view) == GONE and view > QUIET_VIEWS + 1):
        for member in heard:
            book.tell(ev.VoteReceived(room.sign(NULLIFY, view, ZERO_HASH, member), get_node_id(member)))
        book.hear(room.certify(NULLIFY, view))
        view += 1
    assert book.core.view == view
    return view


def test_a_view_whose_leader_is_gone_is_given_up_at_once_and_others_are_not(room: Room) -> None:
    book = Playbook(room, 0)
    book.start()
    view = live_through(book, room, (1, 2))
    assert (NULLIFY, view) in [(each.vote.kind, each.vote.view) for each in only(book.log, fx.BroadcastVote)]
    waited = [each.vote.view for each in only(book.log, fx.BroadcastVote) if room.get_leader(each.vote.view) != GONE]
    assert waited == []  # their timers have not fired


def test_a_leader_that_was_heard_from_is_waited_for(room: Room) -> None:
    book = Playbook(room, 0)
    book.start()
    view = live_through(book, room, (1, 2, GONE))
    assert only(book.log, fx.BroadcastVote) == []
    book.fire(TimerKind.LEADER)
    assert [each.vote.view for each in only(book.log, fx.BroadcastVote)] == [view]


def test_nobody_gives_up_its_own_view(room: Room) -> None:
    book = Playbook(room, GONE)
    book.start()
    view = live_through(book, room, (0, 1, 2))
    assert only(book.log, fx.BroadcastVote) == []
    book.fire(TimerKind.LEADER)
    assert [each.vote.view for each in only(book.log, fx.BroadcastVote)] == [view]
