"""What a round draws from randomness: its committee, its prompts, the evidence to open (PROTOCOL §4).

Pure functions of a seed; whoever knows the seed can repeat a draw. Does not know where a seed comes from, nor when.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from flockchain.crypto.hashing import hash_tagged
from flockchain.primitives.codec import U32
from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import Hash, Round, TaskId
from flockchain.primitives.rounds import CommitteeMember
from flockchain.primitives.validator_set import Validator, ValidatorSet

__all__ = ["compute_audit_positions", "compute_committee", "compute_prompt_rows", "compute_round_seed"]

_WORD_BYTES = 8


def compute_round_seed(tag: str, randomness: Hash, task: TaskId, round: Round) -> Hash:
    """A seed of one round for one purpose, from the chain's randomness."""
    return hash_tagged(tag, randomness + U32.encode(task) + U32.encode(round))


def compute_committee(seed: Hash, validators: ValidatorSet, size: int) -> tuple[CommitteeMember, ...]:
    """At most `size` members drawn by stake without replacement, ascending by account."""
    urn = [validator for validator in validators.validators if validator.stake > 0]
    drawn: list[Validator] = []
    while urn and len(drawn) < size:
        ticket = int.from_bytes(hash_tagged("committee-draw", seed + U32.encode(len(drawn))), "big")
        drawn.append(urn.pop(_find_holder(urn, ticket % sum(validator.stake for validator in urn))))
    return tuple(
        CommitteeMember(member.account, member.stake, member.score_key, member.certificate_key)
        for member in sorted(drawn, key=lambda validator: validator.account)
    )


def compute_prompt_rows(seed: Hash, suite_rows: int, count: int, used: Collection[int] = ()) -> tuple[int, ...]:
    """`count` distinct rows of the suite in the order of the draw, none of them in `used`."""
    spent = frozenset(used)
    urn = [row for row in range(suite_rows) if row not in spent] if spent else range(suite_rows)
    return _draw(hash_tagged("prompt-draw", seed), urn, count)


def compute_audit_positions(seed: Hash, prompts: int, count: int) -> tuple[int, ...]:
    """Which positions of the round's draw of prompts every reveal must open, ascending."""
    return tuple(sorted(_draw(hash_tagged("audit-draw", seed), range(prompts), count)))


def _find_holder(urn: list[Validator], ticket: int) -> int:
    for index, validator in enumerate(urn):
        if ticket < validator.stake:
            return index
        ticket -= validator.stake
    invariant(False, "a ticket is less than the stake in the urn", left=ticket)
    return 0


def _draw(seed: Hash, urn: Sequence[int], count: int) -> tuple[int, ...]:
    """The first `count` of a shuffle (Fisher-Yates; the swapped places are kept in a dict, so a big urn is cheap)."""
    invariant(count <= len(urn), "more is drawn than there is", wanted=count, left=len(urn))
    moved: dict[int, int] = {}
    drawn: list[int] = []
    words = _generate_words(seed)
    for position in range(count):
        chosen = position + next(words) % (len(urn) - position)
        drawn.append(moved.get(chosen, urn[chosen]))
        moved[chosen] = moved.get(position, urn[position])
    return tuple(drawn)


def _generate_words(seed: Hash) -> Iterator[int]:
    """64-bit words of a counter-mode SHA-256 stream."""
    counter = 0
    while True:
        block = hash_tagged("draw-stream", seed + U32.encode(counter))
        for start in range(0, len(block), _WORD_BYTES):
            yield int.from_bytes(block[start : start + _WORD_BYTES], "big")
        counter += 1
