"""A task for anybody's base and rows: the draft that the command line writes is one that the chain takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flockchain.cli.app import run
from flockchain.client.task_file import TaskFileInvalid, decode_task_file
from flockchain.primitives.learning import AdapterMode, TaskSpec
from flockchain.runtime.pallets.tasks import CreateTask
from flockchain_ml.data import DOMAINS, generate_suite
from flockchain_ml.models import AdapterUnfit, FolderRefused, LoadedModel, RowTooLong, get_tiny_folder, load_model
from flockchain_ml.rows import Row, RowInvalid, write_rows
from flockchain_ml.worker.drafts import Draft, DraftImpossible, draft_task
from tests.kit.learning_modules import write_gpt2
from tests.kit.runtime_chain import RuntimeChain


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    file = tmp_path / "suite.jsonl"
    write_rows(file, generate_suite(DOMAINS, 90, seed=4))
    return file


@pytest.fixture
def draft(suite: Path) -> Draft:
    return Draft(get_tiny_folder(), suite, "mine", rounds=3, trainers=5, rank=4, mode="ffa")


def read(toml: bytes, suite: Path) -> TaskSpec:
    return decode_task_file(toml, suite.read_bytes())


@pytest.mark.parametrize("mode", list(AdapterMode))
def test_a_draft_for_any_architecture_is_a_task_that_the_chain_takes(
    suite: Path, draft: Draft, tmp_path: Path, mode: AdapterMode
) -> None:
    folder = write_gpt2(tmp_path / "gpt2")
    toml, about = draft_task(replace(draft, model=folder, mode=mode.name.lower()))
    spec = read(toml, suite)
    assert spec.base_model == load_model(folder).digest == about["base_model"]
    assert (spec.rounds, spec.max_updates, spec.prompts_per_round, spec.adapter.mode) == (3, 5, 30, mode)
    assert {name.rpartition(".")[2] for name in (m.name for m in spec.adapter.modules)} == {"c_attn", "c_proj", "c_fc"}
    assert RuntimeChain.start().call("faucet", "tasks.create", CreateTask(spec)) == ""


def test_targets_choose_layers_and_two_drafts_have_different_seeds(
    tiny: LoadedModel, suite: Path, draft: Draft
) -> None:
    chosen = replace(draft, targets=("q_proj",), prompts=7)
    first, second = (read(draft_task(chosen)[0], suite) for _ in range(2))
    assert [module.name.rpartition(".")[2] for module in first.adapter.modules] == ["q_proj"] * 3
    assert first.prompts_per_round == 7
    assert first.adapter.a_seed != second.adapter.a_seed
    assert first.base_model == tiny.digest


def test_a_base_or_rows_that_will_not_do_are_refused(draft: Draft, tmp_path: Path) -> None:
    with pytest.raises(FolderRefused):
        draft_task(replace(draft, model=tmp_path))
    with pytest.raises(AdapterUnfit):
        draft_task(replace(draft, targets=("c_attn",)))
    with pytest.raises(DraftImpossible, match="no round drew before"):
        draft_task(replace(draft, prompts=31))
    with pytest.raises(DraftImpossible):
        draft_task(replace(draft, rounds=91))
    for rows, error in (
        (b'{"prompt": "a", "answer": "b"}', TaskFileInvalid),
        (b'{"prompt": "a"}\n', RowInvalid),
        (b"[]\n", RowInvalid),
    ):
        draft.suite.write_bytes(rows)
        with pytest.raises(error):
            draft_task(replace(draft, rounds=1))
    write_rows(draft.suite, (Row("what " * 300, "7"),))
    with pytest.raises(RowTooLong):
        draft_task(replace(draft, rounds=1))


def test_the_verb_writes_the_file_once_and_says_what_is_in_it(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "task.toml"
    words = ["task", "draft", "--model", str(get_tiny_folder()), "--suite", str(suite), "--to", str(file)]
    assert run([*words, "--output", "json"]) == 0
    about = json.loads(capsys.readouterr().out)
    spec = read(file.read_bytes(), suite)
    assert (about["layers"], about["update_bytes"]) == (len(spec.adapter.modules), spec.max_update_bytes)
    before = file.read_bytes()
    assert run(words) == 7
    assert file.read_bytes() == before
    assert run([*words, "--force", "--mode", "stack"]) == 0
    assert read(file.read_bytes(), suite).adapter.mode is AdapterMode.STACK
