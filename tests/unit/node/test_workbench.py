"""Work orders over a real blob store: every order is answered once, with exact results or a failure."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import structlog

from flockchain.crypto.merkle import compute_root
from flockchain.duties import (
    Aggregate,
    AggregateDone,
    AggregateFailed,
    AggregateOrder,
    BlobFailed,
    BlobFetched,
    BlobRef,
    Evaluate,
    EvaluateDone,
    EvaluateFailed,
    EvaluateOrder,
    FetchBlob,
)
from flockchain.exact import compute_aggregate, encode_update
from flockchain.node.blob_exchange import BlobExchange
from flockchain.node.evaluators import EvaluationAnswer, EvaluatorFailed
from flockchain.node.exact_work import SuiteMismatch, prepare_evaluation, split_suite
from flockchain.node.workbench import Workbench
from flockchain.primitives.learning import (
    AcceptanceRule,
    AdapterMode,
    AdapterSpec,
    ModuleShape,
    TaskSpec,
    UpdateRecord,
    UpdateStatus,
)
from flockchain.storage.blobs import BlobStore
from tests.kit.keys import build_seed
from tests.kit.peers import wait_until

ADAPTER = AdapterSpec(2, 4, AdapterMode.FFA, build_seed("a"), (ModuleShape("layer.q", 6, 5, 12, 12),))
ROWS = [b'{"prompt": "%d", "answer": "x"}' % number for number in range(6)]
SUITE = b"\n".join(ROWS) + b"\n"
SPEC = TaskSpec(
    "t", build_seed("base"), ADAPTER, compute_root(ROWS), len(ROWS), bytes(32), len(SUITE), 3, 1,
    AcceptanceRule.ACCUMULATED, 1, 1, 1, 4, 1, 8, 10**6, 5, 5, 5, 5, 2, 10, 1,
)  # fmt: skip


def build_update(seed):
    values = np.random.default_rng(seed).integers(-3000, 3000, (6, 2)).astype(np.int16)
    return encode_update({"layer.q.lora_B": values}, ADAPTER)


UPDATES = [build_update(seed) for seed in range(3)]


def build_record(store, data):
    return UpdateRecord(build_seed("trainer"), store.put(data), len(data), sha256(data).digest(), 1)


def build_order(store, files, available=None):
    return EvaluateOrder(
        1, 0, SPEC, (), BlobRef(store.put(SUITE), len(SUITE)), (4, 0, 2), tuple(build_record(store, f) for f in files),
        tuple(available or [True] * len(files)),
    )  # fmt: skip


class Judge:
    """An evaluator that scores 1, 2, 3, ... and remembers its job, or fails."""

    is_configured = False

    def __init__(self, error=None):
        self.error = error
        self.jobs = []

    async def evaluate(self, job):
        self.jobs.append(job)
        if self.error:
            raise self.error
        return EvaluationAnswer(tuple(range(1, len(job.updates) + 1)), (7,) * len(job.prompt_rows))


class Bench:
    def __init__(self, path, judge):
        self.store = BlobStore(path)
        self.done = []
        exchange = BlobExchange(self.store, None)
        self.bench = Workbench(self.store, exchange, judge, self.done.append, structlog.get_logger())

    async def ask(self, order):
        self.bench.take(order)
        await wait_until(lambda: len(self.done) == 1)
        await self.bench.stop()
        return self.done[0]


async def test_good_updates_are_judged_and_the_others_have_findings(tmp_path):
    judge = Judge()
    bench = Bench(tmp_path, judge)
    files = [UPDATES[0], b"no adapter", UPDATES[1], UPDATES[0], UPDATES[2]]
    order = build_order(bench.store, files, [True, True, True, True, False])
    assert await bench.ask(Evaluate(order)) == EvaluateDone(
        1, 0, (None, UpdateStatus.MALFORMED, None, UpdateStatus.DUPLICATE, UpdateStatus.UNAVAILABLE),
        (1, None, 2, None, None), (7, 7, 7),
    )  # fmt: skip
    (job,) = judge.jobs
    assert job.updates == ((0, UPDATES[0]), (2, UPDATES[1]))
    assert job.candidate == compute_aggregate(ADAPTER, None, [UPDATES[0], UPDATES[1]])
    assert job.prompts == ROWS[4] + b"\n" + ROWS[0] + b"\n" + ROWS[2] + b"\n"


async def test_when_nothing_is_left_to_judge_the_evaluator_is_not_asked(tmp_path):
    judge = Judge()
    bench = Bench(tmp_path, judge)
    done = await bench.ask(Evaluate(build_order(bench.store, [b"no adapter"])))
    assert done == EvaluateDone(1, 0, (UpdateStatus.MALFORMED,), (None,), ())
    assert judge.jobs == []


async def test_a_failing_evaluator_still_leaves_the_objective_findings(tmp_path):
    bench = Bench(tmp_path, Judge(EvaluatorFailed("the evaluator failed")))
    done = await bench.ask(Evaluate(build_order(bench.store, [UPDATES[0], b"no adapter"])))
    assert done == EvaluateFailed(1, 0, (None, UpdateStatus.MALFORMED))


async def test_an_evaluation_without_its_suite_fails_and_says_nothing(tmp_path):
    bench = Bench(tmp_path, Judge())
    order = build_order(bench.store, [UPDATES[0]])
    bench.store.delete(order.suite.root)
    assert await bench.ask(Evaluate(order)) == EvaluateFailed(1, 0, ())


async def test_the_aggregate_is_the_exact_one_and_lies_in_the_store(tmp_path):
    bench = Bench(tmp_path, Judge())
    previous = compute_aggregate(ADAPTER, None, [UPDATES[2]])
    refs = tuple(BlobRef(bench.store.put(data), len(data)) for data in UPDATES[:2])
    order = AggregateOrder(1, 0, ADAPTER, BlobRef(bench.store.put(previous), len(previous)), refs)
    done = await bench.ask(Aggregate(order))
    expected = compute_aggregate(ADAPTER, previous, UPDATES[:2])
    assert isinstance(done, AggregateDone)
    assert bench.store.read(done.aggregate) == expected
    assert done.aggregate_bytes == len(expected)


async def test_an_aggregate_of_bytes_that_are_not_here_fails(tmp_path):
    bench = Bench(tmp_path, Judge())
    order = AggregateOrder(1, 0, ADAPTER, None, (BlobRef(bytes(32), 10),))
    assert await bench.ask(Aggregate(order)) == AggregateFailed(1, 0)


async def test_a_fetch_is_answered_either_way(tmp_path):
    bench = Bench(tmp_path, Judge())
    root = bench.store.put(UPDATES[0])
    assert await bench.ask(FetchBlob(root, len(UPDATES[0]))) == BlobFetched(root)
    bench.done.clear()
    assert await bench.ask(FetchBlob(bytes(32), 10)) == BlobFailed(bytes(32))


def test_a_suite_that_the_task_did_not_fix_is_refused(tmp_path):
    order = build_order(BlobStore(tmp_path), [UPDATES[0]])
    with pytest.raises(SuiteMismatch):
        prepare_evaluation(order, (), SUITE.replace(b"x", b"y"), [UPDATES[0]])
    with pytest.raises(SuiteMismatch):
        prepare_evaluation(order, (), SUITE + b"{}\n", [UPDATES[0]])
    assert prepare_evaluation(order, (), SUITE[:-1], [UPDATES[0]]).job is not None


def test_in_stack_mode_the_candidate_does_not_depend_on_the_model(tmp_path):
    stack = replace(ADAPTER, mode=AdapterMode.STACK)
    tensors = {"layer.q.lora_A": np.ones((2, 5), np.int16), "layer.q.lora_B": np.ones((6, 2), np.int16)}
    data = encode_update(tensors, stack)
    order = build_order(BlobStore(tmp_path), [data])
    order = replace(order, spec=replace(SPEC, adapter=stack))
    model = compute_aggregate(stack, None, [data])
    job = prepare_evaluation(order, (model,), SUITE, [data]).job
    assert job is not None
    assert job.model == (model,)
    assert job.candidate == model


@pytest.mark.parametrize(
    ("data", "rows"), [(b"", []), (b"a", [b"a"]), (b"a\n", [b"a"]), (b"a\n\nb\n", [b"a", b"", b"b"])]
)
def test_a_suites_rows_are_its_lines(data, rows):
    assert split_suite(data) == rows
