"""The verbs as processes: evaluators that agree, die and are told to stop, and a trainer that follows a task."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flockchain.client import Account, AsyncClient
from flockchain.devnet.learning_side import ForkServer, WorkerFailed
from flockchain.devnet.processes import find_free_ports
from flockchain.node.evaluators import EvaluatorFailed
from flockchain.primitives.learning import AdapterMode, Phase
from flockchain.primitives.numbers import TaskId
from flockchain.runtime.dev_keys import derive_dev_account
from flockchain.v1 import trainer_pb2, trainer_pb2_grpc
from flockchain_ml.models import LoadedModel, get_tiny_folder
from flockchain_ml.rows import Row, write_rows
from flockchain_ml.worker.agent import Stage, run_agent
from flockchain_ml.worker.trainer_client import RemoteTrainer, RemoteTrainerConfig
from tests.house.sources import ROOT
from tests.kit.api_chain import ApiNode, build_learning_node, serve
from tests.kit.learning import LearningChain
from tests.kit.learning_modules import build_job, build_spec_for, build_update_of, connect, open_channel
from tests.kit.peers import wait_until

VERBS = "flockchain_ml.worker.cli"


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    os.environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'ml'}"
    server = ForkServer(tmp_path_factory.mktemp("logs") / "server.log", 0)
    yield server
    server.stop()


def start_evaluator(workers: ForkServer, name: str, address: str, folder: Path) -> int:
    words = ["evaluator", "run", "--model", str(get_tiny_folder()), "--listen", address, "--batch-rows", "8"]
    return workers.spawn(name, VERBS, words, folder / f"{name}.log")


async def test_two_evaluator_processes_agree_and_outlive_one_anothers_death(
    workers: ForkServer, tiny: LoadedModel, tmp_path: Path
) -> None:
    job = build_job(tiny, build_spec_for(tiny, AdapterMode.FFA), rounds=1, rows=60)
    long = build_job(tiny, build_spec_for(tiny, AdapterMode.FFA), rows=6_000)
    addresses = [f"127.0.0.1:{port}" for port in find_free_ports(2)]
    pids = [start_evaluator(workers, f"evaluator-{at}", address, tmp_path) for at, address in enumerate(addresses)]
    async with connect(addresses[0]) as first, connect(addresses[1]) as second:
        assert await first.evaluate(job) == await second.evaluate(job)
        asking = asyncio.create_task(first.evaluate(long))
        await asyncio.sleep(0.5)
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(EvaluatorFailed):
            await asking
        assert len((await second.evaluate(job)).scores) == 3
    os.kill(pids[1], signal.SIGTERM)
    await wait_until(lambda: workers.is_done("evaluator-1"))
    with pytest.raises(WorkerFailed):
        workers.is_done("evaluator-0")
    said = (tmp_path / "evaluator-1.log").read_text()
    assert "Warning" not in said
    assert "kernels" not in said
    assert "Traceback" not in said


async def test_an_address_that_is_taken_is_one_line_and_exit_code_4(workers: ForkServer, tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    start_evaluator(workers, "late", f"127.0.0.1:{port}", tmp_path)
    with pytest.raises(WorkerFailed, match="exit_code=4"):
        await wait_until(lambda: workers.is_done("late"))
    server.close()
    lines = (tmp_path / "late.log").read_text().splitlines()
    assert [line for line in lines if line.startswith("error:")] == [lines[-1]]


def build_trainer_words(folder: Path, endpoint: str, rows: tuple[Row, ...], *more: str) -> list[str]:
    write_rows(folder / "rows.jsonl", rows)
    (folder / "seed").write_text(derive_dev_account("account-0").hex())
    return [
        "trainer", "run", "--task", "0", "--key-file", str(folder / "seed"), "--node", endpoint, "--output", "json",
        "--data", str(folder / "rows.jsonl"), *more,
    ]  # fmt: skip


def open_task(tiny: LoadedModel, folder: Path, rounds: int = 1) -> tuple[ApiNode, LearningChain]:
    spec = build_spec_for(tiny, AdapterMode.FFA)
    fields = {"rounds": rounds, "submit_blocks": 100_000, "base_model": tiny.digest, "adapter": spec}
    return build_learning_node(folder, **fields, max_update_bytes=1 << 20)


async def play_round(node: ApiNode, world: LearningChain) -> None:
    for at in (1, 2):
        assert world.submit(f"account-{at}", build_update_of(world.spec.adapter, at)) == ""
    world.blobs.update({u.blob: node.blobs.read(u.blob) for u in world.round.updates if node.blobs.has(u.blob)})
    world.judge([10, 20, 30])
    world.advance_to(Phase.AGGREGATE)
    world.advance(world.build_certificate(range(4)))
    for data in world.blobs.values():
        node.blobs.put(data)
    world.chain.advance()


def read_events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


async def test_trainer_run_says_one_json_line_an_event_and_ends_well_with_its_task(
    workers: ForkServer, tiny: LoadedModel, shard: tuple[Row, ...], tmp_path: Path
) -> None:
    node, world = open_task(tiny, tmp_path)
    log = tmp_path / "trainer.log"
    async with serve(node) as endpoint:
        words = build_trainer_words(tmp_path, endpoint, shard, "--model", str(get_tiny_folder()), "--steps", "3")
        workers.spawn("trainer", VERBS, words, log)
        async with node.run_blocks():
            await wait_until(lambda: log.exists() and len(read_events(log)) == 1, 30)
        await play_round(node, world)
        await wait_until(lambda: workers.is_done("trainer"), 20)
    submitted, judged = read_events(log)
    assert (submitted["stage"], submitted["round"], submitted["loss"] > 0) == ("submitted", 0, True)
    assert (judged["stage"], judged["reason"], judged["score"]) == ("judged", "accepted", 10)
    assert "Traceback" not in log.read_text()


async def test_trainer_run_stops_in_the_middle_of_a_training_when_it_is_told_to(
    workers: ForkServer, tiny: LoadedModel, shard: tuple[Row, ...], tmp_path: Path
) -> None:
    node, _ = open_task(tiny, tmp_path)
    async with serve(node) as endpoint:
        words = build_trainer_words(tmp_path, endpoint, shard, "--model", str(get_tiny_folder()), "--steps", "900000")
        pid = workers.spawn("stopped", VERBS, words, tmp_path / "stopped.log")
        await asyncio.sleep(3)
        os.kill(pid, signal.SIGTERM)
        await wait_until(lambda: workers.is_done("stopped"), 20)
    assert (tmp_path / "stopped.log").read_text().splitlines()[-1] == "stopped"
    assert node.submissions == 0


async def test_a_trainer_module_that_dies_costs_its_round_and_is_asked_again_in_the_next(
    workers: ForkServer, tiny: LoadedModel, shard: tuple[Row, ...], tmp_path: Path
) -> None:
    address = f"127.0.0.1:{find_free_ports(1)[0]}"
    write_rows(tmp_path / "rows.jsonl", shard)
    words = ["trainer", "serve", "--model", str(get_tiny_folder()), "--data", str(tmp_path / "rows.jsonl")]
    pid = workers.spawn("module", VERBS, [*words, "--listen", address], tmp_path / "module.log")
    node, world = open_task(tiny, tmp_path, rounds=2)
    account = Account(derive_dev_account("account-0"))
    trainer = RemoteTrainer(RemoteTrainerConfig(address, None, data_set="local", steps=150))
    async with serve(node) as endpoint, AsyncClient(endpoint) as client:
        events = run_agent(client, trainer, account, TaskId(0))
        training = asyncio.ensure_future(anext(events))
        await wait_until_busy(address)
        os.kill(pid, signal.SIGKILL)
        assert (await training).stage is Stage.LEFT_OUT
        workers.spawn("module-again", VERBS, [*words, "--listen", address], tmp_path / "again.log")
        assert world.submit("account-3", build_update_of(world.spec.adapter, 3)) == ""
        await play_round(node, world)
        async with node.run_blocks():
            submitted = await asyncio.wait_for(anext(events), 60)
        await events.aclose()
        await trainer.close()
    assert (submitted.stage, submitted.round) == (Stage.SUBMITTED, 1)


async def wait_until_busy(address: str) -> None:
    async with open_channel(address) as channel, asyncio.timeout(30):
        stub: Any = trainer_pb2_grpc.TrainerServiceStub(channel)
        request = trainer_pb2.TrainerServiceHealthRequest()
        while not (await stub.Health(request, wait_for_ready=True)).busy:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_an_agent_whose_module_trains_elsewhere_needs_no_torch(tmp_path: Path, shard: tuple[Row, ...]) -> None:
    words = build_trainer_words(tmp_path, "127.0.0.1:9", shard, "--trainer", "127.0.0.1:9")
    code = f"import sys; from flockchain.cli.app import run; code = run({words!r}); print(code, 'torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'ml'}"},
    )  # fmt: skip
    assert run.stdout.split() == ["5", "False"]
    assert json.loads(run.stderr)["kind"] == "Unreachable"


@pytest.mark.parametrize(
    "words",
    [
        ["trainer", "run", "--task", "0"],
        ["trainer", "run", "--task", "0", "--trainer", "127.0.0.1:9", "--model", "here"],
        ["trainer", "run", "--task", "0", "--model", "here", "--data", "{rows}", "--base", "int3"],
        ["trainer", "run", "--task", "0", "--model", "here", "--data", "{rows}", "--attack", "charm"],
        ["trainer", "run", "--task", "0", "--model", "here", "--data", "{rows}", "--device", "abacus"],
        ["trainer", "run", "--task", "0", "--model", "here", "--data", "{rows}", "--learning-rate", "1"],
        ["trainer", "serve", "--model", "here", "--data", "{bad}"],
        ["evaluator", "run", "--model", "{folder}"],
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_and_exit_code_2(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from flockchain_ml.worker.cli import main

    write_rows(tmp_path / "rows.jsonl", (Row("a", "b"),))
    (tmp_path / "bad.jsonl").write_text("{'prompt'\n")
    names = {"rows": tmp_path / "rows.jsonl", "bad": tmp_path / "bad.jsonl", "folder": tmp_path}
    assert main([word.format(**names) if word.startswith("{") else word for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert len(captured.err.splitlines()) <= 2
