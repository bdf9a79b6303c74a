"""Ten thousand mutations of the bytes at every door: none is accepted, none raises, the originals stay good.

    FLOCKCHAIN_FUZZ_SEED=7 FLOCKCHAIN_FUZZ_MUTATIONS=100000 pytest tests/fuzz -k "vote-message"

What failed once is kept in `corpus/<target>/` and judged again by every run.
"""

from __future__ import annotations

import os
import traceback
from hashlib import sha256
from pathlib import Path

import pytest

from tests.fuzz.mutators import build_mutation
from tests.fuzz.subject import Subject, Target, Verdict, judge
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SEED = int(os.environ.get("FLOCKCHAIN_FUZZ_SEED", "1"))
MUTATIONS = int(os.environ.get("FLOCKCHAIN_FUZZ_MUTATIONS", "10000"))
FINDINGS_SHOWN = 5

EACH_TARGET = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def find_fault(subject: Subject, data: bytes) -> str | None:
    """What is wrong with how a subject takes bytes that are none of its samples."""
    try:
        verdict = judge(subject, data)
    except Exception:
        return traceback.format_exc(limit=-4)
    return "accepted" if verdict is Verdict.ACCEPTED else None


@EACH_TARGET
def test_no_mutation_is_accepted_or_raises(target: Target, tmp_path: Path) -> None:
    subject = target.build()
    faults: list[str] = []
    for number in range(MUTATIONS):
        data = build_mutation(SEED, target.name, number, subject.samples)
        fault = find_fault(subject, data)
        if fault is not None:
            kept = tmp_path / f"{sha256(data).hexdigest()[:16]}.bin"
            kept.write_bytes(data)
            faults.append(f"seed {SEED}, mutation {number}, bytes in {kept} (goes to {CORPUS / target.name}): {fault}")
            if len(faults) == FINDINGS_SHOWN:
                break
    assert not faults, "\n".join(faults)
    subject.finish()


@EACH_TARGET
def test_what_was_found_once_is_refused_ever_since(target: Target) -> None:
    subject = target.build()
    for file in sorted((CORPUS / target.name).glob("*.bin")):
        assert find_fault(subject, file.read_bytes()) is None, file.name
    subject.finish()


@EACH_TARGET
def test_the_original_bytes_are_not_refused(target: Target) -> None:
    subject = target.build()
    for sample in subject.samples:
        verdict = judge(subject, sample)
        assert verdict is Verdict.ACCEPTED or not subject.is_verifier
        assert verdict is not Verdict.MALFORMED


def test_targets_have_names_of_their_own_and_the_corpus_belongs_to_them() -> None:
    names = [target.name for target in TARGETS]
    assert len(set(names)) == len(names)
    assert {folder.name for folder in CORPUS.iterdir() if folder.is_dir()} <= set(names)


def test_a_seed_gives_the_same_mutations_and_another_seed_others() -> None:
    samples = (b"one sample", b"another sample of other length")
    first, again, other = (
        [build_mutation(seed, "a target", number, samples) for number in range(50)] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert not set(first) & set(samples)
