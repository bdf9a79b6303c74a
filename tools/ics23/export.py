"""Writes state proofs of ours, true ones and false ones, for ICS23's own library to judge.

    python -m tools.ics23.export --out DIR [--seed 1] [--keys 400]

DIR/cases.json holds the bytes as hex: our ProofSpec, and claims about the roots of real state trees with their proofs,
each with what ICS23's rules must say of it (`holds`) and what our own, stricter verifier must (`strict`). Ours is asked
at once; the exit code is 1 if it says anything else. Then, on a machine with Go and access to its modules:

    cd tools/ics23/verify && go mod tidy && go run . DIR/cases.json

`go mod tidy` adds the modules that the library needs, with their checksums. What came of it: docs/results/ics23.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from flockchain.storage.ics23 import verify_commitment_proof
from tools.ics23.claim import Claim
from tools.ics23.forest import grow_forest
from tools.ics23.lies import iterate_lies
from tools.ics23.spec import encode_proof_spec
from tools.ics23.truths import iterate_loose, iterate_truths

__all__ = ["build_claims", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Write the cases; 1 if our own verifier judges one of them otherwise."""
    parser = argparse.ArgumentParser(description="Export state proofs for ICS23's own library.")
    parser.add_argument("--out", type=Path, required=True, help="the folder for cases.json")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keys", type=int, default=400, help="in the big tree; 40 at least")
    options = parser.parse_args(arguments)
    if options.keys < 40:
        parser.error("--keys is 40 at least")
    claims = list(build_claims(options.seed, options.keys))
    cases = [claim.to_json() for claim in claims]
    document = {"seed": options.seed, "keys": options.keys, "spec": encode_proof_spec().hex(), "cases": cases}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cases.json").write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")
    wrong = sorted(claim.kind for claim in claims if claim.strict != _verify(claim))
    true = sum(claim.holds for claim in claims)
    strict = sum(claim.strict for claim in claims)
    print(f"{len(claims)} cases, seed {options.seed}: ICS23 must accept {true} and refuse {len(claims) - true}")
    print(
        f"our verifier must accept {strict} and refuse {len(claims) - strict}: it differs in {len(wrong)}", *wrong[:5]
    )
    return 1 if wrong else 0


def build_claims(seed: int, keys: int) -> Iterator[Claim]:
    """All claims of this seed: true ones, true ones in another form, lies."""
    forest = grow_forest(seed, keys)
    random = Random(seed)
    yield from iterate_truths(forest)
    yield from iterate_loose(forest, random)
    yield from iterate_lies(forest, random)


def _verify(claim: Claim) -> bool:
    return verify_commitment_proof(claim.root, claim.key, claim.value, claim.proof)


if __name__ == "__main__":
    sys.exit(main())
