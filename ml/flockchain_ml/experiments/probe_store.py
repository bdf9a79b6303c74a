"""The level probes of Safe-FedLLM for the experiments' tasks: fitted once for a task's adapter, kept in a folder.

`python -m flockchain_ml.experiments.probe_store --out DIR/probes --seed-list 101` fits those of these seeds' tasks. A
file is `probe-<kind>-<task seed>-<digest of its plan>.json`: the probe's canonical bytes, and what it does on its own
examples. Two processes that want the same probe fit it once. Without a folder a process keeps it to itself.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any, Final

from flockchain.cli.output import to_plain
from flockchain.primitives.errors import InvalidInput
from flockchain_ml.aggregation import Accumulated
from flockchain_ml.experiments.contenders import Contender
from flockchain_ml.experiments.probe_training import Plan, collect_examples, fit_probe
from flockchain_ml.experiments.scenario import DEMO, Scenario
from flockchain_ml.experiments.trainings import LevelProbes
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.probes import BENIGN, LogisticProbe, compute_auc, compute_fpr_at_tpr, decode_probe, encode_probe

__all__ = [
    "PROBE_ATTACKS", "PROBE_SEEDS", "KeptProbe", "ProbeFileBroken", "build_plan", "kept_in", "main",
    "obtain_probe", "obtain_probes",
]  # fmt: skip

# What the probe is shown: the paper's kind of attack and the networks', on data that no table has.
PROBE_ATTACKS: Final = ("harmful-answers", "backdoor")
PROBE_SEEDS: Final = (51, 52)
_PROBE_MALICIOUS_PERCENT: Final = 30

_folder: ContextVar[Path | None] = ContextVar("_folder", default=None)
_memory: dict[str, KeptProbe] = {}


class ProbeFileBroken(InvalidInput):
    """A kept probe's file was cut or is something else."""


@dataclass(frozen=True, slots=True)
class KeptProbe:
    """A probe, and how it came to be. `seconds`: processor time of its rehearsals and its fit."""

    probe: LogisticProbe
    examples: int
    malicious: int
    auc_on_own_examples: float
    fpr_at_95_tpr_on_own_examples: float
    seconds: float


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Probes that are obtained inside are read from there and written there."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def build_plan(kind: str, scenario: Scenario, task_seed: int) -> Plan:
    """The same for every attack and share of attackers, so that a task has one probe of a kind."""
    malicious = max(1, scenario.trainers * _PROBE_MALICIOUS_PERCENT // 100)
    basis = replace(
        scenario, attack=PROBE_ATTACKS[-1], malicious=0, rounds=1, suite_rows=scenario.prompts_per_round,
        rule=Accumulated(), keeps_holders=False,
    )  # fmt: skip
    return Plan(kind, PROBE_ATTACKS, PROBE_SEEDS, 1, malicious, task_seed, basis)


def obtain_probes(
    loaded: LoadedModel, scenario: Scenario, task_seed: int, contender: Contender,
    say: Callable[[str], None] | None = None,
) -> LevelProbes:  # fmt: skip
    """Those that this contender's defence reads."""
    kept = {
        kind: obtain_probe(loaded, build_plan(kind, scenario, task_seed), say).probe for kind in contender.probe_kinds
    }
    return LevelProbes(kept.get("step"), kept.get("shadow"))


def obtain_probe(loaded: LoadedModel, plan: Plan, say: Callable[[str], None] | None = None) -> KeptProbe:
    """The plan's probe: from this process, from the folder, or fitted now and kept. Raises `ProbeFileBroken`."""
    name = f"probe-{plan.kind}-{plan.task_seed}-{_compute_digest(loaded, plan)}"
    if name not in _memory:
        folder = _folder.get()
        _memory[name] = (
            _fit(loaded, plan, say) if folder is None else _share(loaded, plan, folder / f"{name}.json", say)
        )
    return _memory[name]


def _share(loaded: LoadedModel, plan: Plan, file: Path, say: Callable[[str], None] | None) -> KeptProbe:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process, however it ends
        if file.exists():
            return _read(file)
        kept = _fit(loaded, plan, say)
        draft = file.with_name(f".{file.name}.{os.getpid()}.part")
        draft.write_text(json.dumps(_describe(kept, plan), indent=1) + "\n", encoding="utf-8")
        draft.replace(file)
        return kept


def _fit(loaded: LoadedModel, plan: Plan, say: Callable[[str], None] | None) -> KeptProbe:
    started = process_time()
    examples = collect_examples(loaded, plan, say)
    probe, scores = fit_probe(examples, plan, plan.scenario.build_spec(loaded, plan.task_seed))
    if not isinstance(probe, LogisticProbe):
        raise InvalidInput("level probes are logistic", kind=plan.kind)
    labels = [example.attack != BENIGN for example in examples]
    auc, alarms = compute_auc(scores, labels), compute_fpr_at_tpr(scores, labels)
    return KeptProbe(probe, len(examples), sum(labels), auc, alarms, round(process_time() - started, 3))


def _describe(kept: KeptProbe, plan: Plan) -> dict[str, Any]:
    return {
        "kind": plan.kind, "task_seed": plan.task_seed, "attacks": list(plan.attacks), "seeds": list(plan.seeds),
        "malicious_of_each_rehearsal": plan.malicious, "examples": kept.examples, "malicious": kept.malicious,
        "auc_on_own_examples": kept.auc_on_own_examples,
        "fpr_at_95_tpr_on_own_examples": kept.fpr_at_95_tpr_on_own_examples, "seconds": kept.seconds,
        "probe": base64.b64encode(encode_probe(kept.probe)).decode("ascii"),
    }  # fmt: skip


def _read(file: Path) -> KeptProbe:
    """The probe's own digest is in its bytes, and is checked."""
    try:
        held = json.loads(file.read_bytes())
        probe = decode_probe(base64.b64decode(held["probe"], validate=True))
        figures = [held[name] for name in ("examples", "malicious", "auc_on_own_examples")]
        rest = [held[name] for name in ("fpr_at_95_tpr_on_own_examples", "seconds")]
    except (ValueError, KeyError, TypeError, InvalidInput) as error:
        raise ProbeFileBroken("a kept probe cannot be read; without its file it is fitted again", file=file) from error
    if not isinstance(probe, LogisticProbe):
        raise ProbeFileBroken("a kept probe is a logistic one", file=file)
    return KeptProbe(probe, *figures, *rest)


def _compute_digest(loaded: LoadedModel, plan: Plan) -> str:
    described = {"plan": to_plain(plan), "base": loaded.digest.hex()}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, fit what is not there, print what each does on its own examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed-list", required=True, help="the tasks' seeds, by commas")
    parser.add_argument("--steps", type=int, default=DEMO.training.steps)
    parser.add_argument("--base", type=Path, default=get_tiny_folder(), help="a local model folder")
    chosen = parser.parse_args(arguments)
    loaded = load_model(chosen.base)
    scenario = replace(DEMO, trainers=10, training=replace(DEMO.training, steps=chosen.steps))
    with kept_in(chosen.out):
        for seed in chosen.seed_list.split(","):
            for kind in ("step", "shadow"):
                plan = build_plan(kind, scenario, int(seed))
                kept = obtain_probe(loaded, plan, lambda step: print(step, file=sys.stderr, flush=True))
                print(json.dumps({name: value for name, value in _describe(kept, plan).items() if name != "probe"}))


if __name__ == "__main__":
    main()
