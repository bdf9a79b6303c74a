"""Training in the agent's own process: bases of any width, clear words at the start, and an end at the next step."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flockchain.exact import decode_update
from flockchain.primitives.learning import AdapterMode, TaskSpec
from flockchain.primitives.numbers import Hash, Round, TaskId
from flockchain_ml.attacks import ATTACKS
from flockchain_ml.data import compute_seed
from flockchain_ml.models import AdapterUnfit, FolderRefused, LoadedModel, Quantisation, RowTooLong, get_tiny_folder
from flockchain_ml.rows import Row
from flockchain_ml.trainer import TrainOrder, TrainSettings, train_update
from flockchain_ml.worker.agent import TrainingFailed, TrainingRequest
from flockchain_ml.worker.local_trainer import LocalTrainer, LocalTrainerConfig
from tests.kit.learning import build_spec
from tests.kit.learning_modules import build_lineage, build_spec_for, build_update_of, write_gpt2

SHORT = TrainSettings(steps=3, batch_rows=4)


def build_task(loaded: LoadedModel, mode: AdapterMode = AdapterMode.FFA) -> TaskSpec:
    return build_spec(base_model=loaded.digest, adapter=build_spec_for(loaded, mode), max_update_bytes=1 << 20)


def build_config(rows: tuple[Row, ...], folder: Path | None = None) -> LocalTrainerConfig:
    return LocalTrainerConfig(folder or get_tiny_folder(), rows, seed=4, settings=SHORT)


@pytest.mark.parametrize("quantisation", list(Quantisation))
@pytest.mark.parametrize("mode", list(AdapterMode))
async def test_a_base_of_32_8_or_4_bits_gives_an_update_of_the_task(
    tiny: LoadedModel, shard: tuple[Row, ...], quantisation: Quantisation, mode: AdapterMode
) -> None:
    task = build_task(tiny, mode)
    trainer = LocalTrainer(replace(build_config(shard), quantisation=quantisation))
    await trainer.prepare(task)
    request = TrainingRequest(TaskId(3), Round(2), task, build_lineage(task.adapter, 1))
    trained = await trainer.train(request)
    await trainer.close()
    assert decode_update(trained.data, task.adapter)
    assert (trained.samples, trained.loss > 0) == (len(shard), True)
    if quantisation is Quantisation.NONE:
        order = TrainOrder(task.adapter, request.model, shard, 2, compute_seed(4, 3, 2), SHORT)
        assert trained.data == train_update(tiny, order).update


async def test_what_is_wrong_is_said_before_the_first_round(
    tiny: LoadedModel, shard: tuple[Row, ...], tmp_path: Path
) -> None:
    task = build_task(tiny)
    with pytest.raises(FolderRefused, match="not the base model of the task"):
        await LocalTrainer(build_config(shard, write_gpt2(tmp_path))).prepare(task)
    with pytest.raises(FolderRefused):
        await LocalTrainer(build_config(shard, tmp_path / "nowhere")).prepare(task)
    with pytest.raises(RowTooLong):
        await LocalTrainer(build_config((Row("what " * 300, "7"),))).prepare(task)
    other = replace(task.adapter, modules=(replace(task.adapter.modules[0], name="a.layer"),))
    with pytest.raises(AdapterUnfit):
        await LocalTrainer(build_config(shard)).prepare(replace(task, adapter=other))


async def test_a_training_that_goes_wrong_is_one_sentence(tiny: LoadedModel, shard: tuple[Row, ...]) -> None:
    task = build_task(tiny)
    trainer = LocalTrainer(build_config(shard))
    with pytest.raises(TrainingFailed, match="training failed") as caught:
        await trainer.train(TrainingRequest(TaskId(0), Round(0), task, (b"no aggregate",)))
    assert "\n" not in str(caught.value)
    wrong = replace(task, base_model=Hash(bytes(32)))
    with pytest.raises(TrainingFailed, match="not the base model"):
        await LocalTrainer(build_config(shard)).train(TrainingRequest(TaskId(0), Round(0), wrong, ()))


async def test_a_cancelled_training_ends_at_its_next_step(tiny: LoadedModel, shard: tuple[Row, ...]) -> None:
    task = build_task(tiny)
    trainer = LocalTrainer(replace(build_config(shard), settings=TrainSettings(steps=1_000_000, batch_rows=2)))
    await trainer.prepare(task)
    training = asyncio.create_task(trainer.train(TrainingRequest(TaskId(0), Round(0), task, ())))
    await asyncio.sleep(0.3)
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 10)


async def test_a_copycat_waits_for_others_updates_and_an_honest_trainer_does_not(
    tiny: LoadedModel, shard: tuple[Row, ...]
) -> None:
    task = build_task(tiny)
    other = build_update_of(task.adapter, 5)
    looks: list[int] = []

    async def watch() -> tuple[bytes, ...]:
        looks.append(1)
        return (other,)

    request = TrainingRequest(TaskId(3), Round(0), task, (), watch)
    honest = await LocalTrainer(build_config(shard)).train(request)
    assert looks == []
    copied = await LocalTrainer(replace(build_config(shard), attack=ATTACKS["copycat"])).train(request)
    assert looks == [1]
    own, sent, seen = (decode_update(data, task.adapter) for data in (honest.data, copied.data, other))
    for name, values in sent.items():
        distances = [np.abs(values.astype(int) - part[name].astype(int)).mean() for part in (seen, own)]
        assert distances[0] < distances[1]


@pytest.mark.parametrize("round", [2, 3])
async def test_a_sleeper_in_the_agents_process_knows_the_round(
    tiny: LoadedModel, shard: tuple[Row, ...], round: int
) -> None:
    task = build_task(tiny)
    request = TrainingRequest(TaskId(3), Round(round), task, build_lineage(task.adapter, 1))
    honest = await LocalTrainer(build_config(shard)).train(request)
    asleep = await LocalTrainer(replace(build_config(shard), attack=ATTACKS["sleeper"])).train(request)
    assert (asleep.data == honest.data) is (round == 2)
