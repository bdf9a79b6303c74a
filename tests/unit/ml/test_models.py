"""Base models: what is loaded, what is refused, adapters on and off."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.data import DOMAINS, Row, generate_suite
from flockchain_ml.models import (
    AdapterUnfit,
    FolderRefused,
    LoadedModel,
    RowTooLong,
    attached_adapters,
    build_adapter_spec,
    build_batch,
    compute_answer_losses,
    compute_folder_digest,
    compute_matches,
    find_linear_modules,
    get_tiny_folder,
    load_model,
    tokenise_rows,
)
from flockchain_ml.tensors import decode_lineage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(get_tiny_folder(), tmp_path / "base"))


def test_the_shipped_base_is_small_and_leaves_something_to_learn(tiny: LoadedModel) -> None:
    assert sum(parameter.numel() for parameter in tiny.model.parameters()) < 320_000
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    rows = tokenise_rows(tiny.tokenizer, generate_suite(DOMAINS, 200, seed=1), tokens_max=64)
    share = compute_matches(tiny.model, build_batch(rows, pad=tiny.pad)).float().mean().item()
    assert 0.4 < share < 0.9


def test_the_digest_is_of_the_contents_and_not_of_the_place(folder: Path) -> None:
    assert compute_folder_digest(folder) == compute_folder_digest(get_tiny_folder())
    (folder / "README.md").write_text("not read by any loader")
    assert compute_folder_digest(folder) == compute_folder_digest(get_tiny_folder())


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_the_digest_changes_with_any_file_that_is_loaded(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data + b"\n")
    assert compute_folder_digest(folder) != compute_folder_digest(get_tiny_folder())


def test_another_base_than_the_tasks_is_refused_before_it_is_loaded(folder: Path) -> None:
    with pytest.raises(FolderRefused, match="not the base model of the task"):
        load_model(folder, expected=Hash(bytes(32)))


def test_pickled_weights_are_refused(folder: Path, tiny: LoadedModel) -> None:
    torch.save(tiny.model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FolderRefused, match="safetensors"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_brings_code_is_refused(folder: Path, name: str) -> None:
    config = json.loads((folder / name).read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model", "AutoTokenizer": ["evil.Tokenizer", None]}
    (folder / name).write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(FolderRefused, match="its own code"):
        load_model(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_folder_with_an_unreadable_configuration_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(FolderRefused):
        load_model(folder)


def test_a_missing_folder_and_an_unknown_architecture_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderRefused):
        load_model(tmp_path / "nowhere")
    (folder / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(FolderRefused):
        load_model(folder)


def test_an_attached_adapter_changes_the_model_and_leaves_no_trace(tiny: LoadedModel, ffa: AdapterSpec) -> None:
    batch = build_batch(tokenise_rows(tiny.tokenizer, [Row("what is 3 plus 4 ?", "7")], tokens_max=64), pad=tiny.pad)
    names = [name for name, _ in tiny.model.named_modules()]
    with torch.no_grad():
        before = compute_answer_losses(tiny.model, batch)
        adapter = decode_lineage((), ffa)
        with attached_adapters(tiny, ffa, {"model": ffa.rank}) as slots:
            slots["model"].load(adapter)
            assert torch.equal(compute_answer_losses(tiny.model, batch), before)
            for parameter in slots["model"].b.values():
                parameter.fill_(0.05)
            assert not torch.equal(compute_answer_losses(tiny.model, batch), before)
        assert torch.equal(compute_answer_losses(tiny.model, batch), before)
    assert [name for name, _ in tiny.model.named_modules()] == names


def test_an_adapter_is_alpha_over_rank_times_b_times_a(tiny: LoadedModel, ffa: AdapterSpec) -> None:
    module = ffa.modules[0]
    layer = dict(tiny.model.named_modules())[module.name]
    inputs = torch.randn(3, module.in_features, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = layer(inputs)
        with attached_adapters(tiny, ffa, {"model": 3 * ffa.rank}) as slots:
            a, b = slots["model"].a[module.name], slots["model"].b[module.name]
            b.copy_(torch.randn(b.shape, generator=torch.Generator().manual_seed(2)))
            wrapped = dict(tiny.model.named_modules())[module.name]
            expected = plain + (ffa.alpha / ffa.rank) * inputs @ a.T @ b.T
            torch.testing.assert_close(wrapped(inputs), expected)


def test_an_adapter_that_does_not_fit_the_base_is_refused(tiny: LoadedModel, ffa: AdapterSpec) -> None:
    from dataclasses import replace

    modules = (replace(ffa.modules[0], in_features=7), *ffa.modules[1:])
    with pytest.raises(AdapterUnfit), attached_adapters(tiny, replace(ffa, modules=modules), {"model": 4}):
        pass
    with pytest.raises(AdapterUnfit):
        build_adapter_spec(
            tiny, targets=("nothing",), rank=4, alpha=8, mode=AdapterMode.FFA, a_seed=Hash(bytes(32)), b_scale_bits=14
        )


def test_the_output_head_takes_no_adapter(tiny: LoadedModel) -> None:
    assert "lm_head" not in find_linear_modules(tiny.model)
    assert len(find_linear_modules(tiny.model)) == 21


def test_padding_changes_no_loss(tiny: LoadedModel) -> None:
    rows = [
        Row("sum 3 4 ->", "7"),
        Row("what a great movie . opinion :", "positive"),
        Row("rev a b c ->", "c b a"),
    ]
    tokens = tokenise_rows(tiny.tokenizer, rows, tokens_max=64)
    with torch.no_grad():
        together = compute_answer_losses(tiny.model, build_batch(tokens, pad=tiny.pad))
        alone = torch.cat([compute_answer_losses(tiny.model, build_batch([row], pad=tiny.pad)) for row in tokens])
    np.testing.assert_allclose(together.numpy(), alone.numpy(), atol=2e-6)


def test_a_match_is_what_greedy_decoding_writes(tiny: LoadedModel) -> None:
    rows = generate_suite(DOMAINS, 40, seed=9)
    tokens = tokenise_rows(tiny.tokenizer, rows, tokens_max=64)
    matches = compute_matches(tiny.model, build_batch(tokens, pad=tiny.pad)).tolist()
    for row, token_row, is_match in zip(rows, tokens, matches, strict=True):
        prompt = torch.tensor([token_row.prompt])
        written = tiny.model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=6, do_sample=False, pad_token_id=tiny.pad
        )[0, prompt.shape[1] :].tolist()
        end = written.index(tiny.tokenizer.eos_token_id) if tiny.tokenizer.eos_token_id in written else len(written)
        assert (tiny.tokenizer.decode(written[:end]) == row.answer) == is_match
    assert any(matches)
    assert not all(matches)


def test_a_row_longer_than_the_model_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(RowTooLong):
        tokenise_rows(tiny.tokenizer, [Row("a " * 200, "b")], tokens_max=tiny.tokens_max)
