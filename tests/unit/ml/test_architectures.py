"""Another architecture than the shipped one, and quantised bases, go the whole way: train, score, measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from flockchain.exact import decode_update, encode_update
from flockchain.primitives.learning import AdapterMode, AdapterSpec
from flockchain.primitives.numbers import Hash
from flockchain_ml.aggregation import aggregate_updates, append_round
from flockchain_ml.data import DOMAINS, generate_shard, generate_suite
from flockchain_ml.evaluation import EvaluateOrder, evaluate_updates, measure_lineage
from flockchain_ml.models import LoadedModel, Quantisation, build_adapter_spec, get_tiny_folder, load_model
from flockchain_ml.models.vocabulary import build_tokenizer
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update
from flockchain_ml.trainer.pretrain import build_vocabulary, generate_pretraining_rows, main

SETTINGS = TrainSettings(steps=15, batch_rows=8, learning_rate=6e-3)


def run_two_rounds(loaded: LoadedModel, targets: tuple[str, ...], mode: AdapterMode) -> list[float]:
    """Two trainers, two rounds; the losses of the first trainer, step by step."""
    spec = build_adapter_spec(
        loaded, targets=targets, rank=4, alpha=8, mode=mode, a_seed=Hash(b"\x01" * 32), b_scale_bits=14
    )
    lineage: tuple[bytes, ...] = ()
    losses: list[float] = []
    for round in range(2):
        orders = [
            TrainOrder(spec, lineage, generate_shard(DOMAINS, t, 40, 85, seed=t), round, t, SETTINGS) for t in (2, 3)
        ]
        trained = [train_update(loaded, order) for order in orders]
        updates = tuple(one.update for one in trained)
        evaluation = evaluate_updates(loaded, EvaluateOrder(spec, lineage, updates, generate_suite(DOMAINS, 16, 1)))
        assert len(evaluation.scores) == 2
        assert min(evaluation.losses) >= 0
        lineage = append_round(spec, lineage, aggregate_updates(spec, lineage, updates))
        losses += trained[0].losses
    assert 0 <= measure_lineage(loaded, spec, lineage, generate_suite(DOMAINS, 16, 1), None).accuracy <= 1
    return losses


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt2")
    main(["--output", str(folder), "--architecture", "gpt2", "--steps", "30"])
    return folder


@pytest.mark.parametrize("mode", list(AdapterMode))
def test_a_gpt2_pretrained_here_works_as_a_base(gpt2_folder: Path, mode: AdapterMode) -> None:
    losses = run_two_rounds(load_model(gpt2_folder), ("c_attn", "c_proj", "c_fc"), mode)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_a_qwen2_folder_works_as_a_base(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(build_vocabulary())
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, eos_token_id=2, pad_token_id=0, bos_token_id=None,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    losses = run_two_rounds(load_model(tmp_path), ("q_proj", "v_proj"), AdapterMode.FFA)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.parametrize("quantisation", [Quantisation.INT8, Quantisation.NF4])
@pytest.mark.parametrize("mode", list(AdapterMode))
def test_a_trainer_may_hold_the_base_in_8_or_4_bits(quantisation: Quantisation, mode: AdapterMode) -> None:
    loaded = load_model(get_tiny_folder(), quantisation=quantisation)
    kinds = {type(module).__name__ for module in loaded.model.modules()}
    assert ("Linear8bitLt" if quantisation is Quantisation.INT8 else "Linear4bit") in kinds
    losses = run_two_rounds(loaded, ("q_proj", "v_proj", "down_proj"), mode)
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_an_update_trained_on_a_quantised_base_helps_the_f32_model(tiny: LoadedModel) -> None:
    loaded = load_model(get_tiny_folder(), quantisation=Quantisation.NF4)
    arguments = {"targets": ("q_proj", "v_proj", "down_proj"), "rank": 4, "alpha": 8, "mode": AdapterMode.FFA}
    spec = build_adapter_spec(loaded, a_seed=Hash(b"\x01" * 32), b_scale_bits=14, **arguments)
    assert spec == build_adapter_spec(tiny, a_seed=Hash(b"\x01" * 32), b_scale_bits=14, **arguments)
    rows = generate_shard(DOMAINS, 2, 80, 100, seed=1)
    settings = TrainSettings(steps=40, batch_rows=16, learning_rate=1e-2)
    update = train_update(loaded, TrainOrder(spec, (), rows, 0, 1, settings)).update
    evaluation = evaluate_updates(tiny, EvaluateOrder(spec, (), (update,), rows))
    before = evaluate_updates(tiny, EvaluateOrder(spec, (), (_encode_nothing(update, spec),), rows))
    assert sum(evaluation.losses) < sum(before.losses)


def _encode_nothing(update: bytes, spec: AdapterSpec) -> bytes:
    return encode_update({name: np.zeros_like(values) for name, values in decode_update(update, spec).items()}, spec)


def test_pretraining_rows_know_every_word_and_no_held_out_prompt() -> None:
    rows = generate_pretraining_rows(40_000, seed=1)
    assert rows[:500] == generate_pretraining_rows(500, seed=1)
    assert {word for row in rows for word in f"{row.prompt} {row.answer}".split()} == set(build_vocabulary())
    held_out = {row.prompt for row in generate_suite(DOMAINS, 4_000, seed=2)}
    assert not held_out & {row.prompt for row in rows}
