"""Claims that are true, with the proofs that our tree makes; and some in a form that ICS23 accepts and we do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from random import Random

from flockchain.primitives.numbers import HASH_BYTES, Hash
from flockchain.storage.ics23 import encode_commitment_proof
from flockchain.storage.proof import EMPTY_CHILD, ExistenceProof
from tests.kit.ics23_reference import parse_commitment
from tools.ics23.claim import Claim
from tools.ics23.forest import Forest, Grown
from tools.ics23.tamper import compute_root, turn_step, wrap

__all__ = ["iterate_loose", "iterate_truths"]


def iterate_truths(forest: Forest) -> Iterator[Claim]:
    """Every key of every tree, and absent keys in nearly every gap between them, the outermost included."""
    for tree in (forest.chain, *forest.small, forest.largest):
        for key in tree.entries:
            yield _claim(f"present, {tree.name}", tree, key)
    for tree in (*forest.small, forest.largest):
        for key in list(tree.gaps.values())[: 1 if tree is forest.largest else None]:  # each of these carries its value
            yield _claim(f"absent, {tree.name}", tree, key)
    for key in forest.chain.gaps.values():
        yield _claim("absent, many keys, a gap each", forest.chain, key)
    for key in forest.chain.gone:
        yield _claim("absent, many keys, removed", forest.chain, key)
        yield _claim("present, a version earlier", forest.earlier, key)


def iterate_loose(forest: Forest, random: Random) -> Iterator[Claim]:
    """What ICS23 accepts and we refuse: another name in the message, another encoding, a leaf in another place."""
    tree = forest.chain
    for key in random.sample(tree.order, 12):
        yield from _spell_otherwise(_claim("", tree, key))
    for key in random.sample(list(tree.gaps.values()), 12):
        claim = _claim("", tree, key)
        yield from _spell_otherwise(claim)
        for kind, name in (("another name", b"another"), ("the hash for a name", sha256(claim.key).digest())):
            renamed = encode_commitment_proof(name, tree.prove(claim.key))
            yield replace(claim, kind=f"accepted: {kind}", proof=renamed, strict=False)
    yield from _misplace_leaves(random)


def _claim(kind: str, tree: Grown, key: bytes) -> Claim:
    proof = encode_commitment_proof(key, tree.prove(key))
    return Claim(kind, tree.root, key, tree.entries.get(key), proof, holds=True, strict=True)


def _spell_otherwise(claim: Claim) -> Iterator[Claim]:
    """The same message in other bytes: a field that no one knows, and fields out of order."""
    yield replace(claim, kind="accepted: an unknown field", proof=claim.proof + b"\x7a\x01x", strict=False)
    message = parse_commitment(claim.proof)
    number, body = (1, message.exist) if message.HasField("exist") else (2, message.nonexist)
    body.ClearField("key")
    data = wrap(number, body.SerializeToString(deterministic=True) + wrap(1, claim.key))
    yield replace(claim, kind="accepted: fields out of order", proof=data, strict=False)


def _misplace_leaves(random: Random) -> Iterator[Claim]:
    """Trees that are not ours: a leaf beside an empty place, and a leaf on the other side than its hash says."""
    for _ in range(8):
        key, value, other = random.randbytes(8), random.randbytes(8), Hash(random.randbytes(HASH_BYTES))
        data = encode_commitment_proof(key, ExistenceProof(key, value, (EMPTY_CHILD,)))
        yield Claim("accepted: a leaf too deep", compute_root(data), key, value, data, holds=True, strict=False)
        message = parse_commitment(encode_commitment_proof(key, ExistenceProof(key, value, (other,))))
        turn_step(message.exist.path[0])
        data = message.SerializeToString(deterministic=True)
        yield Claim("accepted: a leaf astray", compute_root(data), key, value, data, holds=True, strict=False)
