"""A claim about a state root with a proof, and what each of the two verifiers must say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flockchain.primitives.numbers import Hash

__all__ = ["Claim"]


@dataclass(frozen=True)
class Claim:
    """That `value` stands under `key` in the tree of `root`, or nothing where it is None; and what is shown for it."""

    kind: str
    root: Hash
    key: bytes
    value: bytes | None
    proof: bytes
    holds: bool  # by ICS23's rules
    strict: bool  # by ours, which have one encoding and one place for a leaf

    def to_json(self) -> dict[str, Any]:
        """Bytes as hex."""
        return {
            "kind": self.kind,
            "root": self.root.hex(),
            "key": self.key.hex(),
            "value": None if self.value is None else self.value.hex(),
            "proof": self.proof.hex(),
            "holds": self.holds,
            "strict": self.strict,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Claim:
        """The claim that `to_json` wrote."""
        value = data["value"]
        return cls(
            kind=data["kind"], root=Hash(bytes.fromhex(data["root"])), key=bytes.fromhex(data["key"]),
            value=None if value is None else bytes.fromhex(value), proof=bytes.fromhex(data["proof"]),
            holds=data["holds"], strict=data["strict"],
        )  # fmt: skip
