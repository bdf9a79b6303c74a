"""An evaluator over a real socket that answers well, answers garbage, hangs, dies and comes back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from hashlib import sha256

import grpc
import grpc.aio
import pytest

from flockchain.node.config import EvaluatorConfig
from flockchain.node.evaluators import (
    SCORE_MAX,
    EvaluationJob,
    EvaluatorClient,
    EvaluatorFailed,
    EvaluatorSilent,
    GarbageAnswer,
    NoEvaluator,
)
from flockchain.primitives.learning import AdapterMode, AdapterSpec, ModuleShape
from flockchain.v1 import evaluator_pb2, evaluator_pb2_grpc, learning_pb2
from tests.kit.keys import build_seed
from tests.kit.peers import wait_until

BASE = build_seed("base model")
SPEC = AdapterSpec(4, 8, AdapterMode.FFA, build_seed("a"), (ModuleShape("layer.q", 8, 8, 12, 12),))
JOB = EvaluationJob(
    1, 2, BASE, SPEC, (5, 3, 9), (b"model",), ((0, b"u" * 600_000), (2, b"v" * 10)), b"candidate", b"{}\n{}\n{}\n"
)
FAST = {"silence_limit_ms": 300, "time_limit_ms": 1_500}


def build_result(indexes=(0, 2), scores=(10, -20), losses=(1, 2, 3), abstained=()):
    entries = [
        evaluator_pb2.EvaluationScore(update_index=index, score=score, abstained=index in abstained)
        for index, score in zip(indexes, scores, strict=True)
    ]
    return evaluator_pb2.EvaluationResult(scores=entries, prompt_losses=losses, tokens=9)


class Evaluator(evaluator_pb2_grpc.EvaluatorServiceServicer):
    """Does as `script` says: a list of results, progress marks ("progress"), pauses (seconds) and status codes."""

    def __init__(self, script, *, version=1, base_models=(BASE,)):
        self.script = script
        self.version = version
        self.base_models = base_models
        self.order = None
        self.files = {}
        self.is_running = 0
        self.most_at_once = 0

    async def Describe(self, request, context):  # noqa: N802
        return evaluator_pb2.EvaluatorServiceDescribeResponse(
            protocol_version=self.version, implementation="test", device="none", base_models=self.base_models, modes=[1]
        )

    async def Health(self, request, context):  # noqa: N802
        return evaluator_pb2.EvaluatorServiceHealthResponse(ready=True)

    async def Evaluate(self, requests, context):  # noqa: N802
        self.is_running += 1
        self.most_at_once = max(self.most_at_once, self.is_running)
        try:
            async for request in requests:
                if request.HasField("order"):
                    self.order, self.files = request.order, {}
                else:
                    key = (request.piece.role, request.piece.index)
                    assert request.piece.offset == len(self.files.get(key, b""))
                    self.files[key] = self.files.get(key, b"") + request.piece.data
            for step in self.script:
                await self._perform(step, context)
        finally:
            self.is_running -= 1

    async def _perform(self, step, context):
        if isinstance(step, (int, float)):
            await asyncio.sleep(step)
        elif isinstance(step, grpc.StatusCode):
            await context.abort(step, "as the script says")
        elif step == "progress":
            progress = evaluator_pb2.EvaluationProgress(prompts_done=1, prompts=3, stage="scoring")
            await context.write(evaluator_pb2.EvaluatorServiceEvaluateResponse(progress=progress))
        elif step == "nothing":
            await context.write(evaluator_pb2.EvaluatorServiceEvaluateResponse())
        else:
            await context.write(evaluator_pb2.EvaluatorServiceEvaluateResponse(result=step))


@asynccontextmanager
async def run_evaluator(servicer, port=0):
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    evaluator_pb2_grpc.add_EvaluatorServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


@asynccontextmanager
async def connect(servicer, changes=None):
    changes = [] if changes is None else changes
    async with run_evaluator(servicer) as port:
        config = EvaluatorConfig(f"127.0.0.1:{port}", **FAST)
        client = EvaluatorClient(config, lambda is_ready, reason: changes.append((is_ready, reason)))
        await client.start()
        try:
            await wait_until(lambda: client.is_ready or bool(changes) or client.description is not None)
            yield client
        finally:
            await client.stop()


async def test_the_order_and_every_file_arrive_whole_and_the_answer_comes_back():
    servicer = Evaluator(["progress", "progress", build_result()])
    async with connect(servicer) as client:
        answer = await client.evaluate(JOB)
    assert answer.scores == (10, -20)
    assert answer.losses == (1, 2, 3)
    role = learning_pb2.AttachmentRole
    assert servicer.files == {
        (role.ATTACHMENT_ROLE_MODEL, 0): b"model",
        (role.ATTACHMENT_ROLE_UPDATE, 0): b"u" * 600_000,
        (role.ATTACHMENT_ROLE_UPDATE, 2): b"v" * 10,
        (role.ATTACHMENT_ROLE_CANDIDATE, 0): b"candidate",
        (role.ATTACHMENT_ROLE_PROMPTS, 0): b"{}\n{}\n{}\n",
    }
    announced = [(item.role, item.index, item.size_bytes, item.digest) for item in servicer.order.attachments]
    assert announced == [
        (role, index, len(data), sha256(data).digest()) for (role, index), data in servicer.files.items()
    ]
    assert list(servicer.order.prompt_rows) == [5, 3, 9]
    assert servicer.order.adapter.modules[0].name == "layer.q"


async def test_an_abstention_is_no_score():
    async with connect(Evaluator([build_result(abstained=(2,))])) as client:
        assert (await client.evaluate(JOB)).scores == (10, None)


@pytest.mark.parametrize(
    "script",
    [
        [build_result(indexes=(0,), scores=(1,))],
        [build_result(indexes=(2, 0))],
        [build_result(indexes=(0, 2, 3), scores=(1, 2, 3))],
        [build_result(losses=(1, 2))],
        [build_result(losses=(1, 2, SCORE_MAX + 1))],
        [build_result(scores=(-SCORE_MAX - 1, 0))],
        [build_result(), build_result()],
        [build_result(), "progress"],
        ["nothing"],
        ["progress"],
        [],
    ],
    ids=["too few", "wrong order", "too many", "losses missing", "loss out of range", "score out of range", "twice",
         "speaks on", "empty part", "no result", "silence"],
)  # fmt: skip
async def test_garbage_is_dropped_with_a_typed_error(script):
    async with connect(Evaluator(script)) as client:
        with pytest.raises(GarbageAnswer):
            await client.evaluate(JOB)


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL])
async def test_a_refusal_or_failure_names_its_code(code):
    async with connect(Evaluator(["progress", code])) as client:
        with pytest.raises(EvaluatorFailed, match=code.name):
            await client.evaluate(JOB)


async def test_an_evaluator_that_hangs_is_given_up():
    async with connect(Evaluator([60])) as client:
        with pytest.raises(EvaluatorSilent, match="silent"):
            await client.evaluate(JOB)


async def test_an_evaluator_that_only_reports_progress_is_given_up_after_the_time_limit():
    async with connect(Evaluator(["progress", 0.2] * 20)) as client:
        with pytest.raises(EvaluatorSilent, match="too long"):
            await client.evaluate(JOB)


async def test_two_orders_are_judged_one_after_the_other():
    servicer = Evaluator([0.1, build_result()])
    async with connect(servicer) as client:
        await asyncio.gather(client.evaluate(JOB), client.evaluate(JOB))
    assert servicer.most_at_once == 1


async def test_one_that_does_not_hold_the_base_model_or_speaks_another_version_is_not_asked():
    async with connect(Evaluator([build_result()], base_models=(b"other",))) as client:
        with pytest.raises(EvaluatorFailed, match="base model"):
            await client.evaluate(JOB)
    servicer = Evaluator([build_result()], version=2)
    async with connect(servicer) as client:
        assert not client.is_ready
        with pytest.raises(NoEvaluator):
            await client.evaluate(JOB)
    assert servicer.order is None


async def test_without_an_address_there_is_no_evaluator():
    client = EvaluatorClient(EvaluatorConfig(), lambda *_: None)
    await client.start()
    with pytest.raises(NoEvaluator):
        await client.evaluate(JOB)
    await client.stop()


async def test_an_evaluator_that_dies_in_the_middle_is_asked_again_when_it_is_back():
    servicer = Evaluator(["progress", 60])
    changes = []
    async with run_evaluator(servicer) as port:
        client = EvaluatorClient(EvaluatorConfig(f"127.0.0.1:{port}"), lambda ready, _: changes.append(ready))
        await client.start()
        assert await client.wait_ready(5_000)
        asking = asyncio.create_task(client.evaluate(JOB))
        await wait_until(lambda: servicer.order is not None)
    with pytest.raises(EvaluatorFailed):
        await asking
    await wait_until(lambda: changes == [True, False])
    async with run_evaluator(Evaluator([build_result()]), port):
        await wait_until(lambda: changes == [True, False, True], 15)
        assert (await client.evaluate(JOB)).scores == (10, -20)
    await client.stop()
