"""The command as a user meets it: help, mistakes, exit codes, and nothing overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flockchain.cli import app as cli
from flockchain.cli.exit_codes import ExitCode
from flockchain.cli.workers import LearningGroup

CaptureFixture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOCKCHAIN_PASSWORD", "correct horse")


def call(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


def call_json(capsys: CaptureFixture, *arguments: object) -> dict[str, object]:
    capsys.readouterr()
    assert call(*arguments, "--output", "json") == ExitCode.OK
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_help_lists_every_noun_within_eighty_columns(capsys: CaptureFixture) -> None:
    assert call("--help") == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    nouns = ("init", "start", "status", "keys", "tx", "stake", "task", "round", "update", "model", "trainer",
             "evaluator", "state", "light", "devnet", "sim")  # fmt: skip
    assert [noun for noun in nouns if f"  {noun} " not in text] == []
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("verb", [["task", "create"], ["devnet", "up"], ["init"], ["stake", "bond"], ["tx", "call"]])
def test_the_help_of_a_verb_fits_eighty_columns(verb: list[str], capsys: CaptureFixture) -> None:
    assert call(*verb, "--help") == ExitCode.OK
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["task", "nonsense"], ["status", "--nonsense"], ["task", "show", "x"], ["task", "show"],
     ["status", "--output", "xml"]],
)  # fmt: skip
def test_a_wrong_command_line_is_one_line_with_where_to_look(arguments: list[str], capsys: CaptureFixture) -> None:
    assert call(*arguments) == ExitCode.INVALID
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].endswith("--help")


def test_mistakes_are_json_too_when_json_was_asked_for(capsys: CaptureFixture) -> None:
    assert call("task", "show", "x", "--output", "json") == ExitCode.INVALID
    assert "error" in json.loads(capsys.readouterr().err)


def test_no_node_is_a_code_of_its_own_and_a_hint(capsys: CaptureFixture) -> None:
    assert call("status", "--node", "127.0.0.1:1") == ExitCode.UNREACHABLE
    assert "flockchain status --node" in capsys.readouterr().err


def test_init_makes_a_chain_of_ones_own_and_does_not_overwrite_it(tmp_path: Path, capsys: CaptureFixture) -> None:
    home = tmp_path / "node"
    made = call_json(capsys, "init", "--home", home)
    assert (made["chain"], made["home"]) == ("local", str(home))
    before = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    assert call("init", "--home", home) == ExitCode.EXISTS
    assert "--force" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in home.rglob("*") if file.is_file()} == before
    again = call_json(capsys, "init", "--home", home, "--force")
    assert again["account"] != made["account"]


def test_init_joins_the_chain_of_a_genesis_file_with_its_peers(tmp_path: Path, capsys: CaptureFixture) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    call_json(capsys, "init", "--home", first)
    joined = call_json(
        capsys, "init", "--home", second, "--genesis", first / "genesis.toml", "--peer", "127.0.0.1:9700",
        "--listen", "127.0.0.1:9800", "--api", "127.0.0.1:9801",
    )  # fmt: skip
    assert (first / "genesis.toml").read_bytes() == (second / "genesis.toml").read_bytes()
    assert joined["api"] == "127.0.0.1:9801"
    assert 'peers = ["127.0.0.1:9700"]' in (second / "node.toml").read_text()


@pytest.mark.parametrize("chain", ["devnet", "testnet", "minimal"])
def test_init_knows_the_shipped_chains(chain: str, tmp_path: Path, capsys: CaptureFixture) -> None:
    assert call_json(capsys, "init", "--home", tmp_path / "node", "--chain", chain)["chain"] == chain


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--chain", "mainnet"], ExitCode.REFUSED),
        (["--api", "nowhere"], ExitCode.FAULT),
        (["--peer", "127.0.0.1"], ExitCode.FAULT),
    ],
)
def test_init_with_a_wrong_setting_leaves_nothing_behind(
    arguments: list[str], code: ExitCode, tmp_path: Path, capsys: CaptureFixture
) -> None:
    home = tmp_path / "node"
    assert call("init", "--home", home, *arguments) == code
    assert len(capsys.readouterr().err.splitlines()) <= 2
    assert not home.exists()


def test_init_refuses_a_genesis_that_is_none(tmp_path: Path, capsys: CaptureFixture) -> None:
    file = tmp_path / "genesis.toml"
    file.write_text("chain = 1\n")
    assert call("init", "--home", tmp_path / "node", "--genesis", file) == ExitCode.INVALID
    assert not (tmp_path / "node").exists()
    assert capsys.readouterr().err.startswith("error: ")


def test_keys_are_made_listed_and_shown_without_a_secret(tmp_path: Path, capsys: CaptureFixture) -> None:
    made = call_json(capsys, "keys", "new", "alice", "--home", tmp_path)
    shown = call_json(capsys, "keys", "show", "alice", "--home", tmp_path)
    assert shown["account"] == made["account"]
    capsys.readouterr()
    assert call("keys", "export-public", "alice", "--home", tmp_path) == ExitCode.OK
    assert capsys.readouterr().out.strip() == made["account"]
    assert call("keys", "list", "--home", tmp_path, "--output", "json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == [{"name": "alice", "account": made["account"]}]


def test_a_key_is_not_overwritten_unless_forced(tmp_path: Path, capsys: CaptureFixture) -> None:
    made = call_json(capsys, "keys", "new", "alice", "--home", tmp_path)
    assert call("keys", "new", "alice", "--home", tmp_path) == ExitCode.EXISTS
    assert call_json(capsys, "keys", "show", "alice", "--home", tmp_path)["account"] == made["account"]
    assert call_json(capsys, "keys", "new", "alice", "--home", tmp_path, "--force")["account"] != made["account"]


def test_a_known_seed_can_be_kept_and_a_wrong_one_is_refused(tmp_path: Path, capsys: CaptureFixture) -> None:
    seed = tmp_path / "seed"
    seed.write_text("11" * 32 + "\n")
    made = call_json(capsys, "keys", "new", "bob", "--home", tmp_path, "--from-file", seed)
    assert made["account"] == "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737"
    seed.write_text("11" * 31)
    assert call("keys", "new", "eve", "--home", tmp_path, "--from-file", seed) == ExitCode.INVALID
    assert not (tmp_path / "keys" / "eve.json").exists()


def test_a_key_that_is_not_there_is_a_code_of_its_own(tmp_path: Path, capsys: CaptureFixture) -> None:
    assert call("keys", "show", "nobody", "--home", tmp_path) == ExitCode.NOT_FOUND
    assert "flockchain keys list" in capsys.readouterr().err


def test_a_wrong_password_is_refused_in_one_line(
    tmp_path: Path, capsys: CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_json(capsys, "keys", "new", "alice", "--home", tmp_path)
    monkeypatch.setenv("FLOCKCHAIN_PASSWORD", "wrong")
    arguments = ("tx", "transfer", "11" * 32, "1", "--key", "alice", "--home", tmp_path, "--node", "127.0.0.1:1")
    assert call(*arguments) == ExitCode.REFUSED
    assert "password" in capsys.readouterr().err


@pytest.mark.parametrize("args", ["[1]", "nonsense", "1"])
def test_the_arguments_of_a_call_are_one_json_object(args: str, capsys: CaptureFixture) -> None:
    assert call("tx", "call", "balances", "transfer", "--args", args) == ExitCode.INVALID


@pytest.mark.parametrize("arguments", [["trainer", "run"], ["evaluator", "run"], ["devnet", "up", "--home", "unused"]])
def test_a_verb_without_its_extra_says_what_to_install(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: CaptureFixture
) -> None:
    monkeypatch.setattr("flockchain.cli.workers.NEEDED", ("no_such_module_anywhere",))
    assert call(*arguments) == ExitCode.NOT_INSTALLED
    assert 'pip install ".[ml]"' in capsys.readouterr().err


def test_the_learning_nouns_are_found_by_name() -> None:
    from flockchain.cli.workers import ENTRY_POINTS, evaluator, trainer

    assert ENTRY_POINTS == "flockchain.cli"
    assert {group.info.cls for group in (trainer, evaluator)} == {LearningGroup}


def test_devnet_does_not_start_in_a_folder_that_is_in_use(tmp_path: Path, capsys: CaptureFixture) -> None:
    (tmp_path / "something").write_text("mine")
    assert call("devnet", "up", "--home", tmp_path) == ExitCode.EXISTS
    assert (tmp_path / "something").read_text() == "mine"
