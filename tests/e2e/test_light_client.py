"""A light client beside real processes: it follows an honest node, and finds out one whose answers are changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from flockchain.cli.exit_codes import ExitCode
from flockchain.crypto.hashing import sha256
from flockchain.devnet.processes import find_free_ports
from flockchain.light import LIGHT_BLOCK
from flockchain.primitives.numbers import Hash
from flockchain.storage.ics23 import verify_commitment_proof
from flockchain.v1 import chain_pb2
from tests.kit.ics23_reference import SMT_SPEC, holds

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

FLOCKCHAIN = [sys.executable, "-m", "flockchain.cli"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "FLOCKCHAIN_PASSWORD"}
PROVE_HEADER = "/flockchain.v1.ChainService/ProveHeader"


@dataclass(frozen=True, slots=True)
class Node:
    """A chain of one validator, running."""

    home: Path
    api: str

    @property
    def genesis(self) -> Path:
        return self.home / "genesis.toml"


def call(*arguments: object) -> tuple[int, Any, str]:
    """Exit code, the JSON document on standard output, and what is on standard error."""
    words = [*FLOCKCHAIN, *(str(argument) for argument in arguments), "--output", "json"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120, env=ENVIRONMENT, check=False)
    assert "Traceback" not in run.stderr, run.stderr
    return run.returncode, json.loads(run.stdout) if run.stdout else None, run.stderr


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("light") / "node"
    listen, api = (f"127.0.0.1:{port}" for port in find_free_ports(2))
    assert call("init", "--home", home, "--listen", listen, "--api", api)[0] == ExitCode.OK
    process = subprocess.Popen([*FLOCKCHAIN, "start", "--home", str(home)], stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    try:
        wait_for_height(api, 2)
        yield Node(home, api)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == ExitCode.OK


def wait_for_height(api: str, height: int) -> None:
    deadline = time.monotonic() + 90
    while True:
        code, status, said = call("status", "--node", api)
        if code == ExitCode.OK and status["height"] >= height:
            return
        assert time.monotonic() < deadline, said


@contextmanager
def relay(api: str, change: Callable[[str, bytes], bytes]) -> Iterator[str]:
    """A node that gives another's answers, some of them changed."""
    channel = grpc.insecure_channel(api)

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            def answer(request: bytes, context: Any) -> bytes:
                try:
                    return change(details.method, channel.unary_unary(details.method)(request, timeout=10))
                except grpc.RpcError as error:
                    context.abort(error.code(), error.details())  # type: ignore[attr-defined]
                    raise

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)
        channel.close()


def test_an_honest_node_is_followed_from_genesis_and_on_from_what_was_kept(node: Node, tmp_path: Path) -> None:
    trust = tmp_path / "trust"
    options = ["--node", node.api, "--trust", trust, "--trusting-period", "1d"]
    code, first, said = call("light", "follow", "--genesis", node.genesis, *options)
    assert code == ExitCode.OK, said
    assert first["anchor_height"] == 0
    assert first["nodes"] == [node.api]
    wait_for_height(node.api, first["height"] + 1)
    code, second, said = call("light", "follow", *options)
    assert code == ExitCode.OK, said
    assert second["height"] > first["height"]
    assert second["genesis_hash"] == first["genesis_hash"]
    code, kept, _ = call("light", "status", "--trust", trust)
    assert (code, kept["block_hash"]) == (ExitCode.OK, second["block_hash"])
    later = f"{first['height']}:{first['block_hash']}"
    checkpoint = ["--genesis-hash", first["genesis_hash"], "--trusted", later, "--trust", tmp_path / "other"]
    code, third, said = call("light", "follow", *checkpoint, "--node", node.api, "--trusting-period", "1h")
    assert code == ExitCode.OK, said
    assert third["anchor_height"] == first["height"]


@pytest.mark.parametrize("lie", ["a header", "a signature", "the validators", "garbage", "an older certificate"])
def test_a_node_whose_answers_are_changed_is_found_out(node: Node, tmp_path: Path, lie: str) -> None:
    seen: list[bytes] = []

    def change(method: str, raw: bytes) -> bytes:
        if method != PROVE_HEADER:
            return raw
        message = chain_pb2.ProveHeaderResponse.FromString(raw)
        seen.append(message.light_block_canonical)
        block = LIGHT_BLOCK.decode(seen[-1])
        match lie:
            case "a header":
                block = replace(block, header=replace(block.header, state_root=sha256(b"mine")))
            case "a signature":
                block = replace(block, certificate=replace(block.certificate, signature=bytes(96)))
            case "the validators":
                block = replace(block, validators=replace(block.validators, validators=()))
            case "an older certificate":
                block = replace(block, certificate=LIGHT_BLOCK.decode(seen[0]).certificate)
        encoded = b"\1\2\3" if lie == "garbage" else LIGHT_BLOCK.encode(block)
        message.light_block_canonical = encoded
        changed: bytes = message.SerializeToString()
        return changed

    trust = tmp_path / "trust"
    with relay(node.api, change) as liar:
        if lie == "an older certificate":
            call("light", "follow", "--genesis", node.genesis, "--node", liar, "--trust", tmp_path / "first",
                 "--trusting-period", "1d")  # fmt: skip
            wait_for_height(node.api, LIGHT_BLOCK.decode(seen[0]).header.height + 1)
        code, _, said = call(
            "light", "follow", "--genesis", node.genesis, "--node", liar, "--trust", trust, "--trusting-period", "1d"
        )
    assert code == ExitCode.CHECK_FAILED, said
    assert len(said.splitlines()) == 1
    code, kept, _ = call("light", "status", "--trust", trust)
    assert (code, kept["height"]) == (ExitCode.OK, 0)


def test_outside_the_trusting_period_the_error_says_what_to_do(node: Node, tmp_path: Path) -> None:
    time.sleep(1)
    trust = tmp_path / "trust"
    code, _, said = call("light", "follow", "--genesis", node.genesis, "--node", node.api, "--trust", trust,
                         "--trusting-period", "1s")  # fmt: skip
    assert code == ExitCode.CHECK_FAILED
    error = json.loads(said)
    assert error["kind"] == "TrustExpired"
    assert "--trusted HEIGHT:HASH" in error["hint"]


def test_a_proof_of_state_leaves_the_chain_as_ics23_has_it(node: Node, tmp_path: Path) -> None:
    for key, is_present in (("staking/set/0000000000000000", True), ("staking/set/00000000ffffffff", False)):
        file = tmp_path / f"{is_present}.ics23"
        code, shown, said = call("state", "prove", key, "--node", node.api, "--to", file)
        assert code == ExitCode.OK, said
        assert shown["is_present"] is is_present
        root, data = Hash(bytes.fromhex(shown["state_root"])), file.read_bytes()
        value = bytes.fromhex(shown["value"]) if is_present else None
        assert verify_commitment_proof(root, bytes.fromhex(shown["key"]), value, data)
        assert holds(SMT_SPEC, root, bytes.fromhex(shown["key"]), value, data)
        assert call("state", "prove", key, "--node", node.api, "--to", file)[0] == ExitCode.EXISTS
