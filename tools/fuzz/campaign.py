"""Fuzzes every target for a bounded time, one after the other, and goes on from the corpus of earlier runs.

    python -m tools.fuzz.campaign [--seconds 60] [--targets vote block] [--work .fuzz] [--out docs/results/fuzz.json]

First the seeded mutations of the tests, more of them than an ordinary run makes; then, where atheris is installed
(`pip install -e ".[fuzz]"`), libFuzzer with coverage. Findings stay in the work folder; put those that matter into
tests/fuzz/corpus, where every run of the tests judges them again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.fuzz.mutators import build_mutation
from tests.fuzz.subject import Subject, Verdict, judge
from tests.fuzz.targets import TARGETS
from tools.bench.machine import describe_command, describe_machine

__all__ = ["main"]

MAX_LEN = 16_384
INPUT_S = 5  # one input that takes longer is a finding
RSS_MIB = 2048
REGRESSIONS = Path(__file__).parents[2] / "tests" / "fuzz" / "corpus"
_STATUS = re.compile(r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)


def main() -> int:
    """Run the campaign; 1 if there is a finding."""
    options = _parse_options()
    has_atheris = importlib.util.find_spec("atheris") is not None
    results = []
    for target in TARGETS:
        if options.targets and target.name not in options.targets:
            continue
        subject = target.build()
        folder = options.work / target.name
        found = {"target": target.name, **_mutate(target.name, subject, options.seed, options.mutations, folder)}
        if has_atheris and options.seconds:
            guided = _guide(target.name, subject, options.seconds, folder)
            found |= {**guided, "findings": found["findings"] + guided["findings"]}
        results.append(found)
        print(json.dumps(found), flush=True)
    if options.out:
        document = {
            "command": describe_command("tools.fuzz.campaign"),
            "machine": describe_machine(),
            "results": results,
        }
        options.out.write_text(json.dumps(document, indent=2) + "\n")
    findings = sum(len(result["findings"]) for result in results)
    print(f"{len(results)} targets, {findings} findings" + ("" if has_atheris else " (atheris is not installed)"))
    return 1 if findings else 0


def _mutate(name: str, subject: Subject, seed: int, count: int, folder: Path) -> dict[str, Any]:
    """Seeded mutations, as the tests make them."""
    started = time.process_time()
    verdicts = dict.fromkeys(Verdict, 0)
    findings: list[str] = []
    for number in range(count):
        data = build_mutation(seed, name, number, subject.samples)
        try:
            verdict = judge(subject, data)
        except Exception as error:
            findings.append(_keep(folder, data, type(error).__name__))
            continue
        verdicts[verdict] += 1
        if verdict is Verdict.ACCEPTED:
            findings.append(_keep(folder, data, "accepted"))
    counts = {verdict.value: verdicts[verdict] for verdict in Verdict}
    return {"mutations": count, **counts, "cpu_s": round(time.process_time() - started, 1), "findings": findings}


def _guide(name: str, subject: Subject, seconds: int, folder: Path) -> dict[str, Any]:
    """libFuzzer in a process of its own."""
    corpus, artifacts = folder / "corpus", folder / "findings"
    for each in (corpus, artifacts):
        each.mkdir(parents=True, exist_ok=True)
    for sample in subject.samples:
        (corpus / sha256(sample).hexdigest()[:16]).write_bytes(sample)
    known = set(artifacts.iterdir())
    command = [
        sys.executable, "-m", "tools.fuzz.harness", name, str(corpus), *_list_regressions(name),
        f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}/", f"-max_len={MAX_LEN}", f"-timeout={INPUT_S}",
        f"-rss_limit_mb={RSS_MIB}", "-print_final_stats=1",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, errors="replace")
    (folder / "log").write_text(done.stdout + done.stderr)
    statuses = _STATUS.findall(done.stderr)
    executions, coverage, features, kept = (int(number) for number in statuses[-1]) if statuses else (0, 0, 0, 0)
    findings = [str(path) for path in sorted(set(artifacts.iterdir()) - known)]
    if done.returncode and not findings:
        findings.append(f"the harness failed: see {folder / 'log'}")
    return {
        "guided_s": seconds, "executions": executions, "coverage": coverage, "features": features, "corpus": kept,
        "findings": findings,
    }  # fmt: skip


def _list_regressions(name: str) -> list[str]:
    folder = REGRESSIONS / name
    return [str(folder)] if folder.is_dir() else []


def _keep(folder: Path, data: bytes, why: str) -> str:
    path = folder / "findings" / f"{why}-{sha256(data).hexdigest()[:16]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path)


def _parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="fuzz every door that bytes from outside come to")
    parser.add_argument("--seconds", type=int, default=60, help="of guided fuzzing a target; 0: none")
    parser.add_argument("--mutations", type=int, default=100_000, help="seeded mutations a target")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--targets", nargs="*", default=[], choices=[target.name for target in TARGETS])
    parser.add_argument("--work", type=Path, default=Path(".fuzz"))
    parser.add_argument("--out", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
