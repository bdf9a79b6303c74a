"""Claims that are false, or that are shown by a proof of something else: every verifier must refuse them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

from flockchain.primitives.errors import invariant
from flockchain.primitives.numbers import ZERO_HASH
from flockchain.storage.ics23 import encode_commitment_proof
from flockchain.storage.proof import AbsenceProof
from tests.kit.ics23_reference import parse_commitment
from tools.ics23.claim import Claim
from tools.ics23.forest import PLANTED, PLANTED_KEY, PLANTED_VALUE, Forest, Grown
from tools.ics23.tamper import CHANGES

__all__ = ["iterate_lies"]

SAMPLE = 24  # keys and gaps of the big tree about which every kind of lie is told


def iterate_lies(forest: Forest, random: Random) -> Iterator[Claim]:
    """Lies about presence, about absence, and changed paths, of the big tree and of those with empty places."""
    yield _show_the_planted_leaf(forest.chain)
    yield from _outdate(forest)
    for tree in (forest.chain, *(tree for tree in forest.small if tree.name.startswith("a deep pair"))):
        for key in random.sample(tree.order, min(SAMPLE, len(tree.order))):
            yield from _lie_about_present(tree, key, forest, random)
        inner = [place for place in tree.gaps if 0 < place < len(tree.order)]
        for place in random.sample(inner, min(SAMPLE, len(inner))):
            yield from _lie_about_absent(tree, place, forest, random)
        yield from _deny(tree, random)


def _lie_about_present(tree: Grown, key: bytes, forest: Forest, random: Random) -> Iterator[Claim]:
    value = tree.entries[key]
    proof = tree.prove_value(key)
    data = encode_commitment_proof(key, proof)
    truth = Claim("", tree.root, key, value, data, holds=False, strict=False)
    other = value + b"!"
    absent = random.choice(list(tree.gaps.values()))
    neighbour = random.choice([name for name in tree.order if name != key])

    yield replace(truth, kind="present: another value asked for", value=other)
    yield replace(
        truth, kind="present: another value, shown too", value=other, proof=_show(replace(proof, value=other))
    )
    yield replace(truth, kind="present: the value with its end cut off", value=value[:-1])
    yield replace(truth, kind="present: an empty value", value=b"", proof=_show(replace(proof, value=b"")))
    yield replace(truth, kind="present: another key asked for", key=neighbour)
    yield replace(
        truth, kind="present: another key, shown too", key=neighbour, proof=_show(replace(proof, key=neighbour))
    )
    yield replace(truth, kind="present: an absent key", key=absent)
    yield replace(truth, kind="present: an absent key, shown too", key=absent, proof=_show(replace(proof, key=absent)))
    gap = encode_commitment_proof(absent, tree.prove(absent))
    yield replace(truth, kind="present: an absence is shown", key=absent, proof=gap)
    yield replace(truth, kind="present: nothing is shown", proof=b"")
    yield replace(truth, kind="present: the message ends early", proof=data[: random.randrange(2, len(data))])
    yield replace(truth, kind="present: the root of no state", root=ZERO_HASH)
    yield replace(truth, kind="present: another tree's root", root=forest.largest.root)
    yield replace(truth, kind="absent: a presence is shown", value=None)
    for kind, change in CHANGES.items():
        message = parse_commitment(data)
        change(message.exist, random)
        changed = message.SerializeToString(deterministic=True)
        invariant(changed != data, "a changed proof is another one", kind=kind)
        yield replace(truth, kind=f"present: {kind}", proof=changed, key=message.exist.key, value=message.exist.value)


def _lie_about_absent(tree: Grown, place: int, forest: Forest, random: Random) -> Iterator[Claim]:
    """`place` has a neighbour on both sides."""
    key = tree.gaps[place]
    left, right = tree.prove_value(tree.order[place - 1]), tree.prove_value(tree.order[place])
    data = encode_commitment_proof(key, tree.prove(key))
    truth = Claim("", tree.root, key, None, data, holds=False, strict=False)

    def show(kind: str, proof: AbsenceProof) -> Claim:
        return replace(truth, kind=f"absent: {kind}", proof=encode_commitment_proof(key, proof))

    if place > 1:
        yield show("the left neighbour too far", AbsenceProof(tree.prove_value(tree.order[place - 2]), right))
    if place < len(tree.order) - 1:
        yield show("the right neighbour too far", AbsenceProof(left, tree.prove_value(tree.order[place + 1])))
    elsewhere = random.choice([other for gap, other in tree.gaps.items() if gap != place])
    yield replace(truth, kind="absent: a key of another gap", key=elsewhere)
    yield show("only the left neighbour", AbsenceProof(left, None))
    yield show("only the right neighbour", AbsenceProof(None, right))
    yield show("neighbours swapped", AbsenceProof(right, left))
    yield show("the left neighbour twice", AbsenceProof(left, left))
    yield show("no neighbour", AbsenceProof(None, None))
    yield replace(truth, kind="absent: the left neighbour's key", key=left.key)
    yield replace(truth, kind="absent: the right neighbour's key", key=right.key)
    yield replace(truth, kind="absent: nothing is shown", proof=b"")
    yield replace(truth, kind="absent: the message ends early", proof=data[: random.randrange(2, len(data))])
    yield replace(truth, kind="absent: the root of no state", root=ZERO_HASH)
    yield replace(truth, kind="absent: another tree's root", root=forest.largest.root)
    yield show("a neighbour with another value", AbsenceProof(replace(left, value=left.value + b"!"), right))
    for kind, change in CHANGES.items():
        message = parse_commitment(data)
        change(random.choice((message.nonexist.left, message.nonexist.right)), random)
        changed = message.SerializeToString(deterministic=True)
        invariant(changed != data, "a changed proof is another one", kind=kind)
        yield replace(truth, kind=f"absent: {kind}", proof=changed)


def _deny(tree: Grown, random: Random) -> Iterator[Claim]:
    """That a key does not exist which does, by every pair of true proofs around it."""
    last = len(tree.order) - 1
    for place in {0, last, *random.sample(range(last + 1), min(SAMPLE, last + 1))}:
        key = tree.order[place]
        before = None if place == 0 else tree.prove_value(tree.order[place - 1])
        own = tree.prove_value(key)
        after = None if place == last else tree.prove_value(tree.order[place + 1])
        pairs = {
            "denied by its neighbours": (before, after),
            "denied by itself and the next": (own, after),
            "denied by the one before and itself": (before, own),
            "denied by itself twice": (own, own),
            "denied by itself as the last": (own, None),
            "denied by itself as the first": (None, own),
            "denied by the one before as the last": (before, None),
            "denied by the next as the first": (None, after),
        }
        for kind, pair in pairs.items():
            proof = encode_commitment_proof(key, AbsenceProof(*pair))
            yield Claim(f"absent: {kind}", tree.root, key, None, proof, holds=False, strict=False)


def _outdate(forest: Forest) -> Iterator[Claim]:
    """What was so a version earlier and is not any more, and the other way round."""
    old, new = forest.earlier, forest.chain
    for key in new.gone[:SAMPLE]:
        proof = encode_commitment_proof(key, old.prove(key))
        yield Claim("present: removed since", new.root, key, old.entries[key], proof, holds=False, strict=False)
        proof = encode_commitment_proof(key, new.prove(key))
        yield Claim("absent: not removed yet", old.root, key, None, proof, holds=False, strict=False)
    changed = [key for key in new.order if new.entries[key] != old.entries[key]]
    for key in changed[:SAMPLE]:
        proof = encode_commitment_proof(key, old.prove(key))
        yield Claim("present: changed since", new.root, key, old.entries[key], proof, holds=False, strict=False)


def _show_the_planted_leaf(tree: Grown) -> Claim:
    """A value that is a leaf's preimage, passed off as that leaf: without the prefix rule it leads to the root."""
    message = parse_commitment(encode_commitment_proof(PLANTED, tree.prove(PLANTED)))
    proof = message.exist
    steps = [step.SerializeToString() for step in proof.path]
    proof.key, proof.value = PLANTED_KEY, PLANTED_VALUE
    del proof.path[:]
    proof.path.add(hash=1, prefix=b"\0" + sha256(PLANTED).digest())
    for step in steps:
        proof.path.add().ParseFromString(step)
    data = message.SerializeToString(deterministic=True)
    return Claim("present: planted in a value", tree.root, PLANTED_KEY, PLANTED_VALUE, data, holds=False, strict=False)


def _show(proof: Any) -> bytes:
    return encode_commitment_proof(proof.key, proof)
