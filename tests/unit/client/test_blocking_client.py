"""The client for ordinary code is the asynchronous one, from any thread, and it ends cleanly."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flockchain.client import Account, AsyncClient, Client, FinalizedBlock, Timing, calls
from flockchain.client.blocking import ClientClosed
from flockchain.client.errors import NotFound, Unreachable
from flockchain.runtime.dev_keys import derive_dev_account
from tests.kit.api_chain import ApiNode, build_learning_node, serve, wait_until
from tests.kit.learning import LearningChain, build_update
from tests.kit.runtime_chain import FLOCK, get_account

QUICK = Timing(deadline_ms=2_000, attempts=3, backoff_ms=10, poll_ms=10)
NOUNS = ("chain", "extrinsics", "state", "tasks", "rounds", "updates", "models", "blobs", "events")
NOT_WRAPPED = {
    "chain": set(), "extrinsics": set(), "state": set(), "tasks": set(), "rounds": set(), "updates": {"pause"},
    "models": set(), "blobs": {"put_at"}, "events": set(),
}  # fmt: skip


@pytest.fixture
def learning(tmp_path: Path) -> tuple[ApiNode, LearningChain]:
    return build_learning_node(tmp_path, submit_blocks=500)


def get_public(noun: Any) -> set[str]:
    return {name for name, _ in inspect.getmembers(type(noun), inspect.isroutine) if not name.startswith("_")}


async def test_both_clients_have_the_same_nouns_and_methods() -> None:
    ordinary, asynchronous = Client("127.0.0.1:1"), AsyncClient("127.0.0.1:1")
    for noun in NOUNS:
        twin = getattr(ordinary, noun)
        names = {name for name in dir(type(twin)) if not name.startswith("_")}
        assert names == get_public(getattr(asynchronous, noun)) - NOT_WRAPPED[noun]
        assert all(getattr(twin, name).__doc__ for name in names)


async def test_ordinary_code_does_all_that_asynchronous_code_does(learning: tuple[ApiNode, LearningChain]) -> None:
    node, world = learning
    faucet, trainer = Account(derive_dev_account("faucet")), Account(derive_dev_account("account-0"))

    def work(endpoint: str) -> tuple[int, int, list[int]]:
        with Client(endpoint, timing=QUICK) as client:
            height = client.chain.get_status().height
            target = get_account("account-5")
            record = client.extrinsics.submit(calls.transfer(target, FLOCK), account=faucet).wait()
            data = build_update(client.tasks.get(0).spec.adapter, 1)
            handle = client.updates.submit(0, data, account=trainer)
            assert (handle.task, handle.round) == (0, 0)
            index = handle.wait("included").index
            assert client.blobs.get(client.updates.find(0, handle.digest).update.blob) == data
            heights: list[int] = []
            for event in client.events.subscribe(after=0):
                if isinstance(event, FinalizedBlock):
                    heights.append(event.height)
                if len(heights) == 3:
                    break
            with pytest.raises(NotFound):
                client.rounds.get(0, 5)
            assert len(list(client.state.scan(b"tasks/"))) > 0
            return record.height - height, index, heights

    async with serve(node) as endpoint, node.run_blocks():
        later, index, heights = await asyncio.to_thread(work, endpoint)
        await wait_until(lambda: node.heads.subscribers == 0)  # a stream that is left is closed
    assert later > 0
    assert (index, heights) == (0, [1, 2, 3])
    assert world.round.updates


async def test_one_client_serves_several_threads(learning: tuple[ApiNode, LearningChain]) -> None:
    node, _ = learning

    def read_together(endpoint: str) -> set[int]:
        with Client(endpoint, timing=QUICK) as client, ThreadPoolExecutor(8) as threads:
            return set(threads.map(lambda _: client.chain.get_status().height, range(64)))

    async with serve(node) as endpoint:
        assert await asyncio.to_thread(read_together, endpoint) == {1}


def test_a_closed_client_says_so_and_closing_twice_is_harmless() -> None:
    client = Client("127.0.0.1:1", timing=QUICK)
    with pytest.raises(Unreachable):
        client.chain.get_status()
    client.close()
    client.close()
    with pytest.raises(ClientClosed):
        client.chain.get_status()
    Client("127.0.0.1:1").close()  # never used


def test_the_sdk_imports_neither_torch_nor_a_node() -> None:
    script = (
        "import sys, flockchain.client, flockchain.client.calls\n"
        "heavy = {'torch', 'transformers', 'numpy', 'plyvel', 'py_ecc', 'flockchain.node', 'flockchain.consensus',"
        " 'flockchain.rpc', 'flockchain_ml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_account_never_shows_its_seed(tmp_path: Path) -> None:
    seed = derive_dev_account("faucet")
    file = tmp_path / "seed"
    file.write_text(seed.hex() + "\n", encoding="ascii")
    account = Account.from_file(file)
    assert account.account == Account(seed).account == Account.from_hex(seed.hex()).account
    assert seed.hex() not in repr(account) + str(account)
    assert account.account != Account.generate().account
