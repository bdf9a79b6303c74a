"""How well scores tell malicious updates from benign ones, and how to ask it of attacks that a probe never saw.

Pure functions of scores and labels: higher scores are more suspect, label True is malicious. Knows no probe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flockchain.primitives.errors import InvalidInput

__all__ = ["BENIGN", "MetricInvalid", "Split", "compute_auc", "compute_fpr_at_tpr", "split_leave_one_out"]

BENIGN: Final = ""  # the attack of an honest trainer's update


class MetricInvalid(InvalidInput):
    """Scores and labels of which a measure says nothing."""


@dataclass(frozen=True, slots=True)
class Split:
    """Positions to train on and to test on, ascending and disjoint. `held_out`: the attack that only the test has."""

    held_out: str
    train: tuple[int, ...]
    test: tuple[int, ...]


def compute_auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The chance that a malicious update scores above a benign one, a tie counting half (Mann-Whitney).

    Raises `MetricInvalid` without both kinds.
    """
    malicious, benign = _divide(scores, labels)
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        stop = start
        while stop < len(order) and scores[order[stop]] == scores[order[start]]:
            stop += 1
        for index in order[start:stop]:
            ranks[index] = (start + stop + 1) / 2  # ties share their mean rank; ranks count from 1
        start = stop
    mine = sum(rank for rank, label in zip(ranks, labels, strict=True) if label)
    return (mine - len(malicious) * (len(malicious) + 1) / 2) / (len(malicious) * len(benign))


def compute_fpr_at_tpr(scores: Sequence[float], labels: Sequence[bool], tpr_percent: int = 95) -> float:
    """The share of benign updates that are flagged by the highest threshold that flags enough malicious ones.

    "Flagged" is a score of at least the threshold. Raises `MetricInvalid`.
    """
    malicious, benign = _divide(scores, labels)
    if not 0 < tpr_percent <= 100:
        raise MetricInvalid("a rate to reach is a percentage", got=tpr_percent)
    needed = -(-tpr_percent * len(malicious) // 100)
    threshold = sorted(malicious, reverse=True)[needed - 1]
    return sum(score >= threshold for score in benign) / len(benign)


def split_leave_one_out(attacks: Sequence[str]) -> Iterator[Split]:
    """One split an attack, ascending by name. `attacks` names each example's attack, `BENIGN` for none.

    The test has all of one attack, the training all of the others; benign examples are dealt out to the tests by turn,
    and each split trains on those that it does not test on. Raises `MetricInvalid` if there is nothing to leave out.
    """
    names = sorted(set(attacks) - {BENIGN})
    benign = [index for index, attack in enumerate(attacks) if attack == BENIGN]
    if len(names) < 2 or len(benign) < len(names):
        raise MetricInvalid("a split needs two attacks and a benign example for each", attacks=len(names))
    for turn, name in enumerate(names):
        tested = {index for place, index in enumerate(benign) if place % len(names) == turn}
        tested |= {index for index, attack in enumerate(attacks) if attack == name}
        train = tuple(index for index in range(len(attacks)) if index not in tested)
        yield Split(name, train, tuple(sorted(tested)))


def _divide(scores: Sequence[float], labels: Sequence[bool]) -> tuple[list[float], list[float]]:
    malicious = [score for score, label in zip(scores, labels, strict=True) if label]
    benign = [score for score, label in zip(scores, labels, strict=True) if not label]
    if not malicious or not benign or any(score != score for score in scores):
        raise MetricInvalid("a measure needs scores of both kinds", malicious=len(malicious), benign=len(benign))
    return malicious, benign
