"""One target of the mutation tests under coverage guidance: libFuzzer chooses the bytes by what they reach.

    python -m tools.fuzz.harness TARGET [options and folders of libFuzzer]

Never returns: libFuzzer ends the process. A finding is an input that is accepted, raises, or is not canonical; it is
written where `-artifact_prefix` says.
"""

from __future__ import annotations

import sys

import atheris

__all__ = ["main"]


def main() -> None:
    """Fuzz the target named by the first argument."""
    with atheris.instrument_imports(include=["flockchain"]):
        from tests.fuzz.subject import Verdict, judge
        from tests.fuzz.targets import TARGETS
    name = sys.argv.pop(1)
    subject = next(target for target in TARGETS if target.name == name).build()
    samples = frozenset(subject.samples)

    def test_one_input(data: bytes) -> None:
        if data not in samples and judge(subject, data) is Verdict.ACCEPTED:
            raise AssertionError(f"accepted: {data.hex()}")

    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
