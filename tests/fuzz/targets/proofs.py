"""State proofs as a client gets them from a node that it does not trust, and the types by which it reads calls."""

from __future__ import annotations

from flockchain.primitives.schema import Schema, describe_codec, parse_schema
from flockchain.storage.proof import PROOF, Proof, verify_proof
from tests.fuzz.subject import Subject, Target
from tests.kit.runtime_chain import RuntimeChain

__all__ = ["TARGETS"]

_ABSENT = b"no such key"


def build_existence_subject() -> Subject:
    """One key's proof, and another's, which must not pass for it."""
    chain = RuntimeChain.start()
    keys = [key for key, _ in chain.store.scan(b"")][:4]
    key, value = keys[0], chain.store.get(keys[0])

    def accepts(proof: Proof) -> bool:
        return verify_proof(chain.tree.root, key, value, proof)

    samples = tuple(PROOF.encode(chain.tree.prove(each, chain.store.get)) for each in keys[:1])
    return Subject(samples, PROOF.decode, accepts, PROOF.encode, is_verifier=True)


def build_absence_subject() -> Subject:
    """The neighbours of a key that is not there: no other pair of them, and no shorter path, may pass."""
    chain = RuntimeChain.start()

    def accepts(proof: Proof) -> bool:
        return verify_proof(chain.tree.root, _ABSENT, None, proof)

    sample = PROOF.encode(chain.tree.prove(_ABSENT, chain.store.get))
    return Subject((sample,), PROOF.decode, accepts, PROOF.encode, is_verifier=True)


def build_schema_subject() -> Subject:
    """The types of calls as a node tells them: other text is another type or none, and reading it is bounded."""
    runtime = RuntimeChain.start().runtime
    texts = [describe_codec(call.arguments) for pallet in runtime.pallets for call in pallet.calls]
    samples = tuple(text.encode() for text in sorted(texts, key=len)[-4:])

    def decode(data: bytes) -> Schema:
        return parse_schema(data.decode("utf-8", "replace"))

    def accepts(schema: Schema) -> bool:
        schema.decode(bytes(4096))  # whatever it is, reading with it ends soon
        return False

    return Subject(samples, decode, accepts)


TARGETS = (
    Target("existence-proof", build_existence_subject),
    Target("absence-proof", build_absence_subject),
    Target("call-type", build_schema_subject),
)
