"""What every evaluator does, whoever wrote it: the scores that the definition gives, and a status for each bad order.

To run this suite against an evaluator of your own, have it hold the base model that ships with the package
(`flockchain_ml.models.get_tiny_folder()`) and name its address in FLOCKCHAIN_TEST_EVALUATOR.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from flockchain.exact import (
    STACK_EXTRA_SCALE_BITS,
    compute_aggregate,
    compute_initial_a,
    compute_update_bytes,
    decode_aggregate,
    decode_update,
    encode_update,
)
from flockchain.node.evaluators import EvaluationJob
from flockchain.primitives.learning import ADAPTER_SPEC, AdapterMode, AdapterSpec
from flockchain.primitives.limits import CHUNK_BYTES, SCORE_ABS_MAX
from flockchain.primitives.numbers import Hash
from flockchain.rpc.messages import build_adapter as build_adapter_message
from flockchain.v1 import evaluator_pb2, evaluator_pb2_grpc, learning_pb2
from flockchain_ml.models import LoadedModel, get_tiny_folder, load_model
from flockchain_ml.rows import decode_suite
from flockchain_ml.worker.evaluator_service import add_evaluator
from tests.kit.learning_modules import (
    Attachments,
    announce,
    build_evaluation,
    build_job,
    build_spec_for,
    connect,
    iterate_pieces,
    open_channel,
    run_module,
    write_gpt2,
)

TOLERANCE = 3  # micro-nats that a score in 32 bits may differ from one in 64
LOSS_TOLERANCE = 10  # the same for a loss: what audits allow
MICRO = 1_000_000
INVALID = grpc.StatusCode.INVALID_ARGUMENT
Order = evaluator_pb2.EvaluationOrder


@asynccontextmanager
async def run_shipped(loaded: LoadedModel) -> AsyncIterator[str]:
    async with run_module(lambda server: add_evaluator(server, loaded)) as address:
        yield address


@asynccontextmanager
async def run_foreign(loaded: LoadedModel) -> AsyncIterator[str]:
    """Somebody else's, running already. It holds the shipped base and no other."""
    if loaded.model.config.model_type != "llama":
        pytest.skip("holds the shipped base only")
    yield os.environ["FLOCKCHAIN_TEST_EVALUATOR"]


EVALUATORS: dict[str, Callable[[LoadedModel], Any]] = {"flockchain": run_shipped}
if "FLOCKCHAIN_TEST_EVALUATOR" in os.environ:
    EVALUATORS["foreign"] = run_foreign


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"llama": get_tiny_folder(), "gpt2": write_gpt2(tmp_path_factory.mktemp("gpt2"))}


@pytest.fixture(scope="module")
def bases(folders: dict[str, Path]) -> dict[str, LoadedModel]:
    return {name: load_model(folder) for name, folder in folders.items()}


@pytest.fixture(params=EVALUATORS)
def run(request: pytest.FixtureRequest) -> Callable[[LoadedModel], Any]:
    return EVALUATORS[request.param]


@pytest.fixture
def job(bases: dict[str, LoadedModel]) -> EvaluationJob:
    return build_job(bases["llama"], build_spec_for(bases["llama"], AdapterMode.FFA))


def compute_reference(folder: Path, job: EvaluationJob) -> tuple[list[float], list[float]]:
    """The contract's eight steps word for word, in 64 bits, row by row, on the weights themselves; micro-nats."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    spec, factor = job.adapter, job.adapter.alpha / job.adapter.rank
    layers = dict(model.named_modules())
    changes = [compute_change(decode_update(data, spec), spec, factor, 0) for _, data in job.updates]
    mean = {name: sum(change[name] for change in changes) / len(changes) for name in changes[0]}
    stacks = [job.candidate] if spec.mode is AdapterMode.FFA else [*job.model, job.candidate]
    extra = STACK_EXTRA_SCALE_BITS if spec.mode is AdapterMode.STACK else 0
    for stack in stacks:
        for name, change in compute_change(decode_aggregate(stack, spec), spec, factor, extra).items():
            add_to_weight(layers[name], change)
    weights = [layers[name].weight for name in mean]
    losses = compute_row_losses(model, folder, job)
    gradients = torch.autograd.grad(torch.stack(losses).mean(), weights)
    by_name = dict(zip(mean, gradients, strict=True))
    if len(changes) == 1:
        directions = [{name: -change for name, change in changes[0].items()}]
    else:
        directions = [{name: (mean[name] - change[name]) / (len(changes) - 1) for name in mean} for change in changes]
    scores = [sum(compute_dot(layers[n], by_name[n], d[n]) for n in d) * MICRO for d in directions]
    return scores, [float(loss.detach()) * MICRO for loss in losses]


def compute_change(tensors: Any, spec: AdapterSpec, factor: float, extra_bits: int) -> dict[str, torch.Tensor]:
    """factor * B * A of every module, [out, in]."""
    frozen = compute_initial_a(spec) if spec.mode is AdapterMode.FFA else {}
    change = {}
    for module in spec.modules:
        a = (frozen or tensors)[f"{module.name}.lora_A"].astype(np.float64) * 2.0**-module.a_scale_bits
        b = tensors[f"{module.name}.lora_B"].astype(np.float64) * 2.0 ** -(module.b_scale_bits + extra_bits)
        change[module.name] = torch.from_numpy(factor * (b @ a))
    return change


def add_to_weight(layer: Any, change: torch.Tensor) -> None:
    with torch.no_grad():
        layer.weight += change.T if type(layer).__name__ == "Conv1D" else change


def compute_dot(layer: Any, gradient: torch.Tensor, change: torch.Tensor) -> float:
    return float((gradient * (change.T if type(layer).__name__ == "Conv1D" else change)).sum())


def compute_row_losses(model: Any, folder: Path, job: EvaluationJob) -> list[torch.Tensor]:
    tokenizer = load_model(folder).tokenizer
    losses = []
    for row in decode_suite(job.prompts):
        prompt = tokenizer(row.prompt)["input_ids"]
        answer = [*tokenizer(" " + row.answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        tokens = torch.tensor([prompt + answer])
        logits = model(tokens[:, :-1]).logits[0, len(prompt) - 1 :].log_softmax(-1)
        losses.append(-logits.gather(1, tokens[0, len(prompt) :, None]).mean())
    return losses


@asynccontextmanager
async def open_stub(address: str) -> AsyncIterator[Any]:
    async with open_channel(address) as channel:
        yield evaluator_pb2_grpc.EvaluatorServiceStub(channel)


async def ask(address: str, order: Order | None, pieces: list[learning_pb2.Piece]) -> Any:
    """One order over a fresh connection: the result, or the status that came instead."""
    async with open_stub(address) as stub:
        head = [] if order is None else [evaluator_pb2.EvaluatorServiceEvaluateRequest(order=order)]
        requests = [*head, *(evaluator_pb2.EvaluatorServiceEvaluateRequest(piece=piece) for piece in pieces)]
        call = stub.Evaluate(iter(requests))
        try:
            replies = [reply async for reply in call]
        except grpc.aio.AioRpcError:
            reason = await call.details() or ""
            assert 0 < len(reason) < 400
            assert "\n" not in reason
            return await call.code()
    assert [reply.WhichOneof("part") for reply in replies[:-1]] == ["progress"] * (len(replies) - 1)
    return replies[-1].result


@pytest.mark.parametrize(
    ("base", "mode", "rounds", "positions"),
    [
        ("llama", AdapterMode.FFA, 0, (0, 1, 2)),
        ("llama", AdapterMode.FFA, 2, (0, 2, 5, 9)),
        ("llama", AdapterMode.STACK, 0, (1, 2)),
        ("llama", AdapterMode.STACK, 2, (0, 1, 2)),
        ("gpt2", AdapterMode.FFA, 1, (0, 3)),
        ("gpt2", AdapterMode.STACK, 1, (0, 1, 2)),
        ("llama", AdapterMode.FFA, 1, (4,)),
        ("llama", AdapterMode.STACK, 1, (4,)),
    ],
)
async def test_scores_and_losses_are_those_of_the_definition(
    run: Any, bases: Any, folders: Any, base: str, mode: AdapterMode, rounds: int, positions: tuple[int, ...]
) -> None:
    loaded = bases[base]
    job = build_job(loaded, build_spec_for(loaded, mode), rounds=rounds, positions=positions)
    async with run(loaded) as address, connect(address) as client:
        answer = await client.evaluate(job)
    scores, losses = compute_reference(folders[base], job)
    assert answer.scores == pytest.approx(scores, abs=TOLERANCE)
    assert answer.losses == pytest.approx(losses, abs=LOSS_TOLERANCE)
    assert max(abs(score) for score in scores) > 100 * TOLERANCE, "the job does not tell evaluators apart"
    if len(positions) > 1:
        assert abs(sum(score or 0 for score in answer.scores)) <= len(positions)


async def test_it_describes_itself_and_is_ready(run: Any, bases: Any, job: EvaluationJob) -> None:
    async with run(bases["llama"]) as address, connect(address) as client:
        assert client.description is not None
        assert job.base_model in client.description.base_models
        assert client.description.modes
        assert client.description.implementation


async def test_the_result_names_each_update_and_counts_the_answers_tokens(
    run: Any, bases: Any, job: EvaluationJob
) -> None:
    order, files = build_evaluation(job)
    async with run(bases["llama"]) as address:
        result = await ask(address, order, list(iterate_pieces(files)))
    assert [score.update_index for score in result.scores] == [0, 1, 2]
    tokenizer = bases["llama"].tokenizer
    answers = [" " + row.answer for row in decode_suite(job.prompts)]
    assert result.tokens == sum(len(tokens) + 1 for tokens in tokenizer(answers)["input_ids"])


async def test_an_update_that_breaks_the_model_is_worst_and_does_not_touch_the_others(run: Any, bases: Any) -> None:
    layers = build_spec_for(bases["llama"], AdapterMode.FFA, targets=("gate_proj", "up_proj", "down_proj")).modules
    coarse = tuple(replace(module, a_scale_bits=0, b_scale_bits=0) for module in layers)
    spec = AdapterSpec(4, 32_000, AdapterMode.FFA, Hash(bytes(32)), coarse)
    shapes = {f"{module.name}.lora_B": (module.out_features, 4) for module in coarse}
    still, broken = (
        encode_update({name: np.full(shape, value, np.int16) for name, shape in shapes.items()}, spec)
        for value in (0, 32_767)
    )
    updates = ((0, still), (1, broken), (2, still))
    candidate = compute_aggregate(spec, None, [data for _, data in updates])
    job = replace(build_job(bases["llama"], spec), updates=updates, candidate=candidate)
    async with run(bases["llama"]) as address, connect(address) as client:
        assert (await client.evaluate(job)).scores == (0, -SCORE_ABS_MAX, 0)
        alone = replace(job, updates=((1, broken),), candidate=compute_aggregate(spec, None, [broken]))
        answer = await client.evaluate(alone)
    assert answer.scores == (None,), "nothing tells whether it was the update or the model"


def change_piece(at: int, **fields: Any) -> Callable[[list[Any]], list[Any]]:
    def change(pieces: list[Any]) -> list[Any]:
        for name, value in fields.items():
            setattr(pieces[at], name, value)
        return pieces

    return change


BROKEN_STREAMS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "a byte is another": change_piece(0, data=b"\x00" * 100),
    "a piece out of order": lambda pieces: [pieces[1], pieces[0], *pieces[2:]],
    "an offset that leaves a gap": change_piece(0, offset=7),
    "a piece twice": lambda pieces: [pieces[0], *pieces],
    "an empty piece": change_piece(0, data=b""),
    "a piece longer than its file": lambda pieces: [
        learning_pb2.Piece(role=pieces[0].role, index=0, offset=0, data=pieces[0].data + b"x"), *pieces[1:]
    ],
    "the end in the middle": lambda pieces: pieces[:-1],
    "nothing at all": lambda pieces: [],
    "more than was announced": lambda pieces: [*pieces, pieces[-1]],
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_STREAMS)
async def test_a_broken_stream_is_an_invalid_argument(run: Any, bases: Any, job: EvaluationJob, name: str) -> None:
    order, files = build_evaluation(job)
    async with run(bases["llama"]) as address:
        assert await ask(address, order, BROKEN_STREAMS[name](list(iterate_pieces(files)))) is INVALID
        assert (await ask(address, order, list(iterate_pieces(files)))).scores, "it no longer works"


def with_file(role: int, change: Callable[[bytes], bytes]) -> Callable[[Order, Attachments], Attachments]:
    """The first file of a role, changed and announced as what it is."""

    def apply(order: Order, files: Attachments) -> Attachments:
        at = next(at for at, file in enumerate(files) if file[0] == role)
        files[at] = (files[at][0], files[at][1], change(files[at][2]), files[at][3])
        del order.attachments[:]
        order.attachments.extend(announce(files))
        return files

    return apply


def with_order(change: Callable[[Order], Any]) -> Callable[[Order, Attachments], Attachments]:
    def apply(order: Order, files: Attachments) -> Attachments:
        change(order)
        return files

    return apply


def with_files(change: Callable[[Attachments], Attachments]) -> Callable[[Order, Attachments], Attachments]:
    def apply(order: Order, files: Attachments) -> Attachments:
        files = change(files)
        del order.attachments[:]
        order.attachments.extend(announce(files))
        return files

    return apply


def with_spec(change: Callable[[AdapterSpec], AdapterSpec]) -> Callable[[Order, Attachments], Attachments]:
    def apply(order: Order, files: Attachments) -> Attachments:
        spec = change(ADAPTER_SPEC.decode(order.adapter.spec_bytes_canonical))
        order.adapter.CopyFrom(build_adapter_message(spec))
        return files

    return apply


def write_floats(data: bytes) -> bytes:
    """The same shapes as 16-bit floats, all of them NaN: as long as an update, and none."""
    return data.replace(b'"I16"', b'"F16"').replace(data[-64:], b"\xff\x7f" * 32)


def write_pickle(data: bytes) -> bytes:
    return pickle.dumps({"tensor": [0] * 9}).ljust(len(data), b"\x00")


def write_rank(data: bytes) -> bytes:
    """Twice the rank in half the rows: the same size."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for entry in header.values():
        entry["shape"] = [entry["shape"][0] // 2, entry["shape"][1] * 2]
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    return data[:8] + text + data[8 + length :]


def rename_tensor(data: bytes) -> bytes:
    return data.replace(b"layers.0.", b"layers.9.", 1)


UPDATE, CANDIDATE = learning_pb2.ATTACHMENT_ROLE_UPDATE, learning_pb2.ATTACHMENT_ROLE_CANDIDATE
PROMPTS, MODEL = learning_pb2.ATTACHMENT_ROLE_PROMPTS, learning_pb2.ATTACHMENT_ROLE_MODEL
DATASET = learning_pb2.ATTACHMENT_ROLE_DATASET
BROKEN_ORDERS: dict[str, Callable[[Order, Attachments], Attachments]] = {
    "an update of 16-bit floats": with_file(UPDATE, write_floats),
    "a pickle in place of safetensors": with_file(UPDATE, write_pickle),
    "another rank": with_file(UPDATE, write_rank),
    "another tensor": with_file(UPDATE, rename_tensor),
    "a byte too many": with_file(UPDATE, lambda data: data + b"\x00"),
    "a byte too few": with_file(UPDATE, lambda data: data[:-1]),
    "a candidate that is not the aggregate": with_file(CANDIDATE, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "prompts that are not JSON": with_file(PROMPTS, lambda data: b"[" + data[1:]),
    "a prompt without an answer": with_file(PROMPTS, lambda data: data.replace(b'"answer"', b'"answers"', 1)),
    "a prompt too few": with_file(PROMPTS, lambda data: data.partition(b"\n")[2]),
    "an empty line among the prompts": with_file(PROMPTS, lambda data: b"\n" + data),
    "a prompt longer than the model reads": with_file(
        PROMPTS, lambda data: b'{"answer":"a","prompt":"' + b"of " * 400 + b'"}\n' + data.partition(b"\n")[2]
    ),
    "no candidate": with_files(lambda files: [file for file in files if file[0] != CANDIDATE]),
    "no prompts": with_files(lambda files: [file for file in files if file[0] != PROMPTS]),
    "no update": with_files(lambda files: [file for file in files if file[0] != UPDATE]),
    "a role of another order": with_files(lambda files: [*files, (DATASET, 0, b"{}", 0)]),
    "files in another order": with_files(lambda files: [files[1], files[0], *files[2:]]),
    "a file twice": with_files(lambda files: [files[0], *files]),
    "an update beyond the largest round": with_files(lambda files: [(UPDATE, 128, files[0][2], 0), *files[3:]]),
    "two models where there is one": with_files(
        lambda files: [(MODEL, 0, files[3][2], 0), (MODEL, 1, files[3][2], 0), *files]
    ),
    "another scale": with_files(lambda files: [*files[:3], (CANDIDATE, 0, files[3][2], 1), files[4]]),
    "an announcement of 2^60 bytes": with_order(lambda order: setattr(order.attachments[0], "size_bytes", 1 << 60)),
    "no rows drawn": with_order(lambda order: order.ClearField("prompt_rows")),
    "fields that differ from their canonical bytes": with_order(lambda order: setattr(order.adapter, "rank", 5)),
    "no canonical bytes": with_order(lambda order: setattr(order.adapter, "spec_bytes_canonical", b"")),
    "a layer that the base does not have": with_spec(
        lambda spec: replace(spec, modules=(replace(spec.modules[0], name="a.layer"),))
    ),
    "a layer of 2^32 inputs": with_spec(
        lambda spec: replace(spec, modules=(replace(spec.modules[0], in_features=2**32 - 1),))
    ),
    "rank 0": with_spec(lambda spec: replace(spec, rank=0)),
    "no layers": with_spec(lambda spec: replace(spec, modules=())),
    "layers in another order": with_spec(lambda spec: replace(spec, modules=spec.modules[::-1])),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_ORDERS)
async def test_a_broken_order_is_an_invalid_argument(run: Any, bases: Any, job: EvaluationJob, name: str) -> None:
    order, files = build_evaluation(job)
    files = BROKEN_ORDERS[name](order, files)
    async with run(bases["llama"]) as address:
        assert await ask(address, order, list(iterate_pieces(files))) is INVALID


async def test_a_stream_begins_with_an_order(run: Any, bases: Any, job: EvaluationJob) -> None:
    _, files = build_evaluation(job)
    async with run(bases["llama"]) as address:
        assert await ask(address, None, list(iterate_pieces(files))) is INVALID
        assert await ask(address, None, []) is INVALID


async def test_another_base_model_is_a_failed_precondition(run: Any, bases: Any, job: EvaluationJob) -> None:
    order, files = build_evaluation(replace(job, base_model=type(job.base_model)(bytes(32))))
    async with run(bases["llama"]) as address:
        assert await ask(address, order, list(iterate_pieces(files))) is grpc.StatusCode.FAILED_PRECONDITION


async def test_one_order_at_a_time_and_health_answers_meanwhile(run: Any, bases: Any, job: EvaluationJob) -> None:
    order, files = build_evaluation(job)
    pieces = list(iterate_pieces(files))
    async with run(bases["llama"]) as address, open_stub(address) as stub:
        first = stub.Evaluate()
        await first.write(evaluator_pb2.EvaluatorServiceEvaluateRequest(order=order))
        await wait_until_health(stub, is_busy=True)
        assert await ask(address, order, pieces) is grpc.StatusCode.RESOURCE_EXHAUSTED
        for piece in pieces:
            await first.write(evaluator_pb2.EvaluatorServiceEvaluateRequest(piece=piece))
        await first.done_writing()
        replies = [reply async for reply in first]
        assert len(replies[-1].result.scores) == 3
        await wait_until_health(stub, is_busy=False)


async def test_an_order_that_is_hung_up_on_leaves_it_free(run: Any, bases: Any, job: EvaluationJob) -> None:
    order, files = build_evaluation(job)
    async with run(bases["llama"]) as address, open_stub(address) as stub:
        call = stub.Evaluate()
        await call.write(evaluator_pb2.EvaluatorServiceEvaluateRequest(order=order))
        await wait_until_health(stub, is_busy=True)
        call.cancel()
        await wait_until_health(stub, is_busy=False)
        assert (await ask(address, order, list(iterate_pieces(files)))).scores


async def wait_until_health(stub: Any, *, is_busy: bool) -> None:
    async with asyncio.timeout(10):
        while True:
            health = await stub.Health(evaluator_pb2.EvaluatorServiceHealthRequest(), timeout=5)
            assert health.ready
            if health.busy is is_busy:
                return
            await asyncio.sleep(0.02)


async def test_an_update_larger_than_one_piece_travels_whole(run: Any, bases: Any) -> None:
    spec = build_spec_for(bases["llama"], AdapterMode.STACK, rank=66)
    assert compute_update_bytes(spec) > CHUNK_BYTES
    job = build_job(bases["llama"], spec, positions=(0, 1), rows=4)
    async with run(bases["llama"]) as address, connect(address) as client:
        assert None not in (await client.evaluate(job)).scores


def test_the_broken_update_of_floats_is_as_long_as_an_update(job: EvaluationJob) -> None:
    whole = job.updates[0][1]
    assert len(write_floats(whole)) == len(write_pickle(whole)) == len(write_rank(whole)) == len(whole)
    assert encode_update(decode_update(whole, job.adapter), job.adapter) == whole
