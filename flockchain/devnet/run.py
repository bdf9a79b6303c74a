"""Runs a devnet from an empty folder to its report: the main path, and what is stopped when.

    plan -> folders -> nodes -> learning side -> task -> rounds -> figures -> report

Knows the order. What a process is, how it is watched and how the report is made is in the modules beside it.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from flockchain.client import Account, Client
from flockchain.client.task_file import decode_task_file
from flockchain.devnet.homes import clear_home, write_homes
from flockchain.devnet.learning_side import ForkServer, read_progress
from flockchain.devnet.participants import describe_participants, get_balances
from flockchain.devnet.plan import PORTS_PER_NODE, DevnetPlan, DevnetSettings, build_plan, list_preferred_ports
from flockchain.devnet.processes import Fleet, find_free_ports, wait_until
from flockchain.devnet.report import build_chain_report, build_report, write_report
from flockchain.devnet.rounds_report import describe_round_record
from flockchain.devnet.view import LiveView, Snapshot, render_summary
from flockchain.devnet.watch import Watch, describe_round
from flockchain.primitives.errors import FlockchainError, InvariantBroken
from flockchain.primitives.numbers import TaskId
from flockchain.primitives.rounds import TaskStatus

__all__ = ["is_good", "run_devnet"]

_EXPERIMENT: Final = "flockchain_ml.experiments.devnet"  # prepare, measure, plot
_WORKERS: Final = "flockchain_ml.worker.cli"  # the verbs that users run
_NODES_START_MS: Final = 60_000
_PREPARE_MS: Final = 300_000
_ROUND_MS: Final = 600_000
_MEASURE_MS: Final = 900_000
_STATES_MS: Final = 60_000
_FOREVER_MS: Final = 365 * 86_400_000
_REFRESH_MS: Final = 500
_WORKER_NICE: Final = 10  # training and judging yield to the validators
_VERSIONED: Final = ("flockchain", "torch", "transformers", "peft", "numpy", "grpcio", "py_arkworks_bls12381")


@dataclass
class _Devnet:
    """What is running, and how it is shown."""

    plan: DevnetPlan
    fleet: Fleet
    learning: ForkServer | None
    watch: Watch
    view: LiveView
    started_ms: int
    task: TaskId | None = None
    workers: list[str] = field(default_factory=list)  # those that must go on

    def show(self, step: str) -> None:
        """Draw the moment, and notice what has died."""
        self.fleet.require_alive()
        if self.learning is not None:
            self.learning.require_alive(self.workers)
        rounds = self.watch.get_rounds(self.task) if self.task is not None else ()
        trainers = len(self.plan.trainers)
        snapshot = Snapshot(
            title=self.plan.chain, step=step, elapsed_s=(_now_ms() - self.started_ms) // 1000,
            nodes=self.watch.get_nodes(), rounds=tuple(describe_round(record, trainers) for record in rounds),
        )  # fmt: skip
        self.view.show(snapshot)

    def wait(self, is_done: Callable[[], bool], step: str, timeout_ms: int) -> None:
        """Show `step` until it is done."""
        self.show(step)
        wait_until(is_done, timeout_ms=timeout_ms, what=step, check=lambda: self.show(step), poll_ms=_REFRESH_MS)

    def start_worker(self, name: str, module: str, arguments: Sequence[str]) -> None:
        """Start one process of the learning side."""
        self._get_learning().spawn(name, module, arguments, self.plan.logs / f"{name}.log", nice=_WORKER_NICE)

    def run_experiment(self, verb: str, step: str, timeout_ms: int, *arguments: str) -> None:
        """Have the learning side do one thing, and wait for it; shows how far it says that it is."""
        self.start_worker(verb, _EXPERIMENT, [verb, *arguments])
        wait_until(
            lambda: self._get_learning().is_done(verb), timeout_ms=timeout_ms, what=step, poll_ms=_REFRESH_MS,
            check=lambda: self.show(f"{step}{read_progress(self.plan.logs / f'{verb}.log')}"),
        )  # fmt: skip

    def _get_learning(self) -> ForkServer:
        if self.learning is None:
            raise InvariantBroken("a devnet without rounds asks nothing of the learning side")
        return self.learning


def run_devnet(
    settings: DevnetSettings, report_file: Path, *, is_forced: bool, is_quiet: bool, is_kept: bool
) -> dict[str, Any] | None:
    """Run it to its end and write the report. Whatever happens, nothing is left running.

    `is_kept`: the nodes go on after the report, until an interrupt. Without rounds they do in any case, and there is
    no report.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter too: a shell's background jobs start with it ignored
        signal.signal(number, signal.default_int_handler)
    console = Console(stderr=is_quiet)
    if is_forced:
        clear_home(settings.home)
    ports = find_free_ports(PORTS_PER_NODE * settings.validators, list_preferred_ports(settings.validators))
    plan = build_plan(settings, ports)
    started_ms = _now_ms()
    write_homes(plan, started_ms)
    report: dict[str, Any] | None = None
    with ExitStack() as stack:
        fleet = Fleet(plan.logs, {"OMP_NUM_THREADS": "1"})
        stack.callback(fleet.stop_all)
        for node in plan.nodes:
            fleet.start(node.name, [sys.executable, "-m", "flockchain.cli", "start", "--home", str(node.home)])
            console.print(f"{node.name}  API {node.api_address}  peers {node.peer_address}", highlight=False)
        has_learning = settings.rounds > 0 or settings.model is not None
        learning = ForkServer(plan.logs / "learning.log", _WORKER_NICE) if has_learning else None
        if learning is not None:
            stack.callback(learning.stop)
        watch = stack.enter_context(Watch(plan.nodes))
        view = stack.enter_context(LiveView(console))
        devnet = _Devnet(plan, fleet, learning, watch, view, started_ms)
        if settings.rounds:
            report = _run_to_report(devnet, report_file)
        elif settings.model is not None:
            devnet.wait(watch.is_finalizing, "validators start", _NODES_START_MS)
            _start_evaluators(devnet, settings.model)
        if report is not None and not is_quiet:
            console.print(render_summary(report))
            console.print(f"report and plots: {report_file.parent}", highlight=False, soft_wrap=True)
        if is_kept or not settings.rounds:
            with suppress(KeyboardInterrupt):
                devnet.wait(lambda: False, "running until Ctrl-C", _FOREVER_MS)
    return report


def is_good(report: Mapping[str, Any]) -> bool:
    """Whether every round advanced and all nodes ended with the same state."""
    rounds: Sequence[Mapping[str, Any]] = report["rounds"]
    return bool(report["chain"]["state_roots_equal"] and rounds and all(item["advanced"] for item in rounds))


def _run_to_report(devnet: _Devnet, report_file: Path) -> dict[str, Any]:
    """Everything between the first process and the report."""
    plan, home = devnet.plan, devnet.plan.settings.home
    devnet.wait(devnet.watch.is_finalizing, "validators start", _NODES_START_MS)
    devnet.watch.follow_blocks()
    devnet.run_experiment("prepare", "the task is prepared", _PREPARE_MS, *_describe_settings(plan))
    with Client(*(node.api_address for node in plan.nodes)) as client:
        _start_evaluators(devnet, home / "model")
        balances = get_balances(client, plan)
        task = devnet.task = _create_task(client, plan)
        _start_trainers(devnet, task)
        devnet.wait(lambda: _has_ended(client, task), "rounds run", _ROUND_MS * plan.settings.rounds)
        records = devnet.watch.get_rounds(task)
        participants = describe_participants(client, plan, records, balances)
        devnet.workers.clear()  # trainers end with their task
        nodes = [option for node in plan.nodes for option in ("--node", node.api_address)]
        devnet.run_experiment(
            "measure", "the model is measured", _MEASURE_MS, *_describe_settings(plan), "--task", str(task), *nodes
        )
    are_equal = _are_states_equal(devnet)
    report = build_report(
        chain=build_chain_report(devnet.watch.blocks, len(plan.nodes), state_roots_equal=are_equal),
        rounds=[describe_round_record(record, plan.get_names()) for record in records],
        model=json.loads((home / "model.json").read_text(encoding="utf-8")), participants=participants,
        seed=plan.settings.seed, versions=_list_versions(),
    )  # fmt: skip
    write_report(report_file, report)
    devnet.run_experiment(
        "plot", "plots are drawn", _MEASURE_MS, "--report", str(report_file), "--to", str(report_file.parent)
    )
    return report


def _start_evaluators(devnet: _Devnet, model: Path) -> None:
    for node in devnet.plan.nodes:
        name = node.name.replace("validator", "evaluator")
        arguments = ["evaluator", "run", "--listen", node.evaluator_address, "--model", str(model)]
        arguments += ["--search-triggers"] if devnet.plan.settings.searches_triggers else []
        devnet.start_worker(name, _WORKERS, arguments)
        devnet.workers.append(name)


def _start_trainers(devnet: _Devnet, task: TaskId) -> None:
    home = devnet.plan.settings.home
    nodes = [option for node in devnet.plan.nodes for option in ("--node", node.api_address)]
    for trainer in devnet.plan.trainers:
        if trainer.is_guest:
            continue
        arguments = [
            "trainer", "run", "--task", str(task), "--key-file", str(trainer.key_file), "--model", str(home / "model"),
            "--data", str(trainer.home / "rows.jsonl"), "--seed", str(devnet.plan.settings.seed + trainer.index),
            *nodes,
        ]  # fmt: skip
        if trainer.attack is not None:
            arguments += ["--attack", trainer.attack]
        devnet.start_worker(trainer.name, _WORKERS, arguments)


def _create_task(client: Client, plan: DevnetPlan) -> TaskId:
    suite = (plan.settings.home / "suite.jsonl").read_bytes()
    spec = decode_task_file((plan.settings.home / "task.toml").read_bytes(), suite)
    client.blobs.put(suite)
    return client.tasks.create(spec, account=Account(plan.creator_seed)).task


def _has_ended(client: Client, task: TaskId) -> bool:
    try:
        return client.tasks.get(task).status is not TaskStatus.OPEN
    except FlockchainError:
        return False  # the node may be busy; that it has died is noticed elsewhere


def _are_states_equal(devnet: _Devnet) -> bool:
    """Whether all nodes have the same state root at the greatest height that any of them has reached."""
    height = max((node.height or 0 for node in devnet.watch.get_nodes()), default=0)
    devnet.wait(lambda: None not in devnet.watch.get_state_roots(height).values(), "states are compared", _STATES_MS)
    return len(set(devnet.watch.get_state_roots(height).values())) == 1


def _describe_settings(plan: DevnetPlan) -> list[str]:
    """What the learning side must know to make, and to make again, the same data and the same attack."""
    settings = plan.settings
    described = [
        "--home", str(settings.home), "--seed", str(settings.seed), "--trainers", str(settings.trainers),
        "--rounds", str(settings.rounds), "--validators", str(settings.validators),
    ]  # fmt: skip
    if settings.attack is not None:
        described += ["--attack", f"{settings.attack.name}:{settings.attack.trainers}"]
    return described


def _list_versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _VERSIONED:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
