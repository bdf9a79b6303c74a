"""Four validators as real processes: they agree, survive kill -9, refuse strangers, and let others in and out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flockchain.devnet.processes import find_free_ports
from flockchain.node.home import Home
from flockchain.primitives.numbers import AccountId, TimestampMs
from flockchain.primitives.vote import decode_bitmap
from flockchain.runtime.genesis import encode_genesis
from flockchain.runtime.genesis_config import GenesisConfig
from tests.e2e.network import FLOCKCHAIN, Network, run_cli, wait_until

pytestmark = pytest.mark.e2e

EXIT_FAULT = 4
EPOCH_BLOCKS = 8


def shorten_unbonding(genesis: GenesisConfig) -> GenesisConfig:
    rules = replace(genesis.staking, unbonding_epochs=3, evidence_age_epochs=2, trusting_epochs=1)
    return replace(genesis, staking=rules)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One running network for all tests of this module; each leaves its four validators running."""
    running = Network.plan(
        tmp_path_factory.mktemp("network") / "net", 4, epoch_blocks=EPOCH_BLOCKS, idle_block_ms=100,
        change=shorten_unbonding,
    )  # fmt: skip
    try:
        running.start_all()
        running.wait_for_height(1)
        yield running
    finally:
        running.close()


@pytest.fixture
def newcomer(network: Network, tmp_path: Path) -> Iterator[Path]:
    """A folder that `flockchain init` made for the network's chain, and a process of that name, stopped at the end."""
    peer, api = find_free_ports(2)
    run_cli(
        "init", "--home", str(tmp_path / "newcomer"), "--genesis", str(network.genesis_file),
        "--peer", network.nodes["validator-0"].peer_address,
        "--listen", f"127.0.0.1:{peer}", "--api", f"127.0.0.1:{api}",
    )  # fmt: skip
    yield tmp_path / "newcomer"
    if "newcomer" in network.fleet.processes:
        network.kill("newcomer")


def test_four_processes_finalize_one_chain(network: Network) -> None:
    network.wait_for_height(EPOCH_BLOCKS + 2)
    heights = range(EPOCH_BLOCKS + 2)
    chains = [[network.get_client(name).chain.get_block_hash(at) for at in heights] for name in network.nodes]
    assert all(chain == chains[0] for chain in chains)


def test_a_transfer_by_the_command_line_is_final_on_every_node(network: Network, tmp_path: Path) -> None:
    seed = tmp_path / "creator.seed"
    seed.write_text(network.creator._seed.hex())
    target = "ab" * 32
    record = run_cli(
        "tx", "transfer", target, "2.5", "--key-file", str(seed), "--node", network.nodes["validator-1"].api_address
    )
    network.wait_for_height(record["height"])
    balances = {
        network.get_client(name).extrinsics.get_account(bytes.fromhex(target)).balance for name in network.nodes
    }
    assert balances == {2_500_000_000}


@pytest.mark.parametrize("name", [f"validator-{at}" for at in range(4)])
def test_any_validator_killed_with_9_goes_on_from_where_it_was_and_catches_up(network: Network, name: str) -> None:
    others = [other for other in network.nodes if other != name]
    height = network.get_height(name)
    known = network.get_client(name).chain.get_block_hash(height)
    network.kill(name)
    network.wait_for_height(height + 4, *others)
    network.start(name)
    network.wait_until(lambda: network.get_height(name) >= height, f"{name} answers from where it was")
    assert network.get_client(name).chain.get_block_hash(height) == known
    target = network.get_height(others[0])
    network.wait_for_height(target + 1)
    hashes = {network.get_client(each).chain.get_block_hash(target) for each in network.nodes}
    assert len(hashes) == 1
    assert "contradict" not in network.get_log(name)


def test_a_second_node_on_one_data_folder_ends_with_a_fault_on_one_line(network: Network) -> None:
    second = network.start("second", (*FLOCKCHAIN, "start", "--home", str(network.nodes["validator-0"].home)))
    assert second.handle.wait(15) == EXIT_FAULT
    lines = network.get_log("second").splitlines()
    assert len(lines) == 1
    assert "another process uses this data folder" in lines[0]
    network.wait_for_height(network.get_height("validator-0") + 2)


def test_a_node_of_another_genesis_is_told_so_and_never_becomes_a_peer(network: Network, tmp_path: Path) -> None:
    foreign = replace(network.genesis, timestamp_ms=TimestampMs(network.genesis.timestamp_ms + 1))
    file = tmp_path / "foreign.toml"
    file.write_bytes(encode_genesis(foreign))
    address = network.nodes["validator-0"].peer_address
    peer, api = find_free_ports(2)
    home = tmp_path / "foreigner"
    run_cli(
        "init", "--home", str(home), "--genesis", str(file), "--peer", address,
        "--listen", f"127.0.0.1:{peer}", "--api", f"127.0.0.1:{api}",
    )  # fmt: skip
    network.start("foreigner", (*FLOCKCHAIN, "start", "--home", str(home)))
    try:
        network.wait_until(
            lambda: network.get_log("foreigner").count("another chain") >= 3, "the foreigner is told, thrice"
        )
        assert all(address in line for line in network.get_log("foreigner").splitlines() if "another chain" in line)
        assert run_cli("status", "--home", str(home))["peers"] == 0
        assert network.get_client("validator-0").chain.get_status().peers == len(network.nodes) - 1
    finally:
        network.kill("foreigner")


def test_sigterm_stops_cleanly_with_exit_code_0(network: Network) -> None:
    assert network.stop("validator-3") == 0
    assert "node stopped" in network.fleet.processes["validator-3"].get_log_tail(1)
    network.start("validator-3")
    network.wait_for_height(network.get_height("validator-0") + 2)


def test_a_fifth_node_joins_by_the_guide_leads_votes_and_leaves(
    network: Network, newcomer: Path, tmp_path: Path
) -> None:
    """The operator's guide, verb by verb."""
    network.start("newcomer", (*FLOCKCHAIN, "start", "--home", str(newcomer)))
    client = network.get_client("validator-0")
    account = Home(newcomer).get_account()
    status = wait_for_sync(newcomer, client.chain.get_status().height)
    assert status["peers"] == len(network.nodes)  # it found the others through the one that it knew

    seed = tmp_path / "creator.seed"
    seed.write_text(network.creator._seed.hex())
    api = network.nodes["validator-0"].api_address
    run_cli("tx", "transfer", account.hex(), "60000", "--key-file", str(seed), "--node", api)
    bonded = run_cli("stake", "bond", "50000", "--home", str(newcomer))

    joined = bonded["height"] // EPOCH_BLOCKS + 2
    network.wait_until(lambda: has_proposed_and_signed(network, account, joined), "the newcomer leads and votes", 60)
    shown = run_cli("stake", "show", "node", "--home", str(newcomer))
    assert (shown["account"], bool(shown["this_epoch"])) == (account.hex(), True)

    run_cli("stake", "leave", "--home", str(newcomer), "--key", "node")
    network.wait_until(
        lambda: not is_member(network, account, client.chain.get_status().epoch), "the newcomer is out", 30
    )
    assert not run_cli("stake", "show", "node", "--home", str(newcomer))["this_epoch"]
    left = client.chain.get_status().epoch
    network.wait_until(lambda: client.chain.get_status().epoch >= left + 3, "unbonding is over", 30)
    run_cli("stake", "withdraw", "--home", str(newcomer), "--key", "node")
    assert run_cli("stake", "show", account.hex(), "--home", str(newcomer))["balance"] > 59_999 * 10**9
    assert network.stop("newcomer") == 0


def wait_for_sync(home: Path, height: int) -> dict[str, int]:
    status: dict[str, int] = {}

    def is_synced() -> bool:
        try:
            status.update(run_cli("status", "--home", str(home)))
        except RuntimeError:
            return False
        return status["height"] >= height and status["peers"] >= 4

    wait_until(is_synced, "the newcomer is where the others are")
    return status


def is_member(network: Network, account: AccountId, epoch: int) -> bool:
    members = network.get_client("validator-0").chain.get_validator_set(epoch).validators
    return account in {member.account for member in members}


def has_proposed_and_signed(network: Network, account: AccountId, since_epoch: int) -> bool:
    """Whether finalized blocks since an epoch include one that it proposed and one that its vote finalized."""
    chain = network.get_client("validator-0").chain
    now = chain.get_status()
    if now.epoch < since_epoch:
        return False
    has_led = has_voted = False
    for height in range(since_epoch * EPOCH_BLOCKS + 1, now.height + 1):
        has_led = has_led or chain.get_block(height).header.proposer == account
        certified = chain.get_header_proof(height).light_block
        members = [member.account for member in certified.validators.validators]
        if account in members:
            has_voted = has_voted or members.index(account) in decode_bitmap(certified.certificate.signers)
    return has_led and has_voted
