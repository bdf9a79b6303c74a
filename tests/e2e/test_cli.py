"""The verbs against a real node: what they print, what they change, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flockchain.cli.exit_codes import ExitCode
from flockchain.devnet.processes import find_free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FLOCKCHAIN = [sys.executable, "-m", "flockchain.cli"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "FLOCKCHAIN_PASSWORD"}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a verb ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == ExitCode.OK, self.err
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Solo:
    """A chain of one's own, running."""

    home: Path
    process: subprocess.Popen[bytes]

    def call(self, *arguments: object) -> Answer:
        return call(*arguments, "--home", self.home)


def call(*arguments: object) -> Answer:
    words = [str(argument) for argument in arguments]
    run = subprocess.run(
        [*FLOCKCHAIN, *words], capture_output=True, text=True, timeout=120, env=ENVIRONMENT, check=False
    )
    assert "Traceback" not in run.stderr, run.stderr
    return Answer(run.returncode, run.stdout, run.stderr)


@pytest.fixture(scope="module")
def solo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Solo]:
    home = tmp_path_factory.mktemp("solo") / "node"
    listen, api = (f"127.0.0.1:{port}" for port in find_free_ports(2))
    assert call("init", "--home", home, "--listen", listen, "--api", api).code == ExitCode.OK
    process = subprocess.Popen([*FLOCKCHAIN, "start", "--home", str(home)], stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    running = Solo(home, process)
    try:
        deadline = time.monotonic() + 60
        while (answer := running.call("status", "--output", "json")).code or not answer.json["height"]:
            assert time.monotonic() < deadline, answer.err
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == ExitCode.OK


def test_status_has_what_scripts_rely_on(solo: Solo) -> None:
    status = solo.call("status", "--output", "json").json
    assert status["height"] > 0
    assert status["view"] > 0
    assert len(bytes.fromhex(status["finalized_hash"])) == 32
    assert status["peers"] == 0


def test_a_transfer_is_final_when_the_verb_returns(solo: Solo, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    account = solo.call("keys", "new", "alice", "--password-file", password, "--output", "json").json["account"]
    record = solo.call("tx", "transfer", "alice", "2.5", "--key", "node", "--output", "json").json
    assert record["has_succeeded"] is True
    assert solo.call("tx", "show", record["extrinsic_hash"], "--output", "json").json == record
    assert solo.call("stake", "show", account, "--output", "json").json["balance"] == 2_500_000_000


def test_any_call_goes_by_name_with_json_arguments(solo: Solo) -> None:
    arguments = json.dumps({"target": "22" * 32, "amount": 3_000_000})
    record = solo.call("tx", "call", "balances", "transfer", "--args", arguments, "--key", "node", "--output", "json")
    assert record.json["has_succeeded"] is True
    assert solo.call("tx", "call", "balances", "nonsense", "--key", "node").code == ExitCode.INVALID
    missing = solo.call("tx", "call", "balances", "transfer", "--args", "{}", "--key", "node")
    assert missing.code == ExitCode.INVALID
    assert "missing" in missing.err


def test_a_refused_call_is_one_line_and_a_code(solo: Solo) -> None:
    answer = solo.call("tx", "transfer", "33" * 32, "999999999", "--key", "node")
    assert answer.code == ExitCode.REFUSED
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1


def test_bonding_again_adds_to_the_stake(solo: Solo) -> None:
    before = solo.call("stake", "show", "node", "--output", "json").json["own_stake"]
    assert solo.call("stake", "bond", "10").code == ExitCode.OK
    after = solo.call("stake", "show", "node", "--output", "json").json
    assert after["own_stake"] >= before + 10 * 10**9
    assert after["this_epoch"] is True


@pytest.mark.parametrize(
    "arguments",
    [["task", "show", "7"], ["round", "show", "7"], ["model", "lineage", "7"], ["update", "show", "7", "ab" * 32],
     ["tx", "show", "ab" * 32]],
)  # fmt: skip
def test_what_is_not_there_is_a_code_of_its_own(arguments: list[str], solo: Solo) -> None:
    assert solo.call(*arguments).code == ExitCode.NOT_FOUND


def test_no_tasks_are_an_empty_list(solo: Solo) -> None:
    assert solo.call("task", "list", "--output", "json").json == []
    assert "no tasks" in solo.call("task", "list").out


def test_a_second_node_on_the_folder_is_a_fault_and_the_first_goes_on(solo: Solo) -> None:
    assert call("start", "--home", solo.home).code == ExitCode.FAULT
    assert solo.call("status").code == ExitCode.OK


def test_start_without_a_folder_says_how_to_make_one(tmp_path: Path) -> None:
    answer = call("start", "--home", tmp_path / "nothing")
    assert answer.code == ExitCode.NOT_FOUND
    assert "flockchain init" in answer.err


def test_the_simulator_gives_the_same_traces_for_the_same_seeds() -> None:
    first, second = (call("sim", "run", "--seeds", "1..2", "--profile", "calm", "--output", "json").json for _ in "ab")
    assert first == second
    assert first["seeds"] == [1, 2]
    assert first["violations"] == []
    assert len(set(first["trace_hashes"])) == 2
    assert min(first["finalized_heights"]) > 0


def test_an_unknown_profile_is_refused_in_one_line() -> None:
    answer = call("sim", "run", "--profile", "nonsense")
    assert answer.code == ExitCode.INVALID
    assert "calm" in answer.err
