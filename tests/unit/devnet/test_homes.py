"""A planned devnet on disk: nodes that can start, secrets for their owner only, and nothing of others removed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from flockchain.devnet.homes import clear_home, write_homes
from flockchain.devnet.plan import PORTS_PER_NODE, DevnetPlan, DevnetSettings, build_plan, list_preferred_ports
from flockchain.devnet.shipped_chains import ChainUnknown, list_shipped_chains, load_shipped_genesis
from flockchain.node.home import Home, HomeExists
from flockchain.runtime.genesis import load_genesis


@pytest.fixture
def plan(tmp_path: Path) -> DevnetPlan:
    settings = DevnetSettings(tmp_path / "net", validators=2, trainers=2, rounds=1, attack=None, seed=5)
    return build_plan(settings, list_preferred_ports(2))


def test_every_node_can_be_opened_with_its_planned_keys_and_addresses(plan: DevnetPlan) -> None:
    genesis = write_homes(plan, 1_800_000_000_000)
    for at, node in enumerate(plan.nodes):
        home = Home(node.home)
        config = home.load_config()
        assert home.load_genesis_toml() == genesis
        assert home.unlock(home.load_password()).consensus_secret == node.secrets.consensus_secret
        assert (config.peer.listen, config.api.listen) == (node.peer_address, node.api_address)
        assert config.evaluator.address == node.evaluator_address
        assert config.peer.peers == tuple(other.peer_address for other in plan.nodes[:at])
    assert load_genesis(genesis).chain == "devnet-5"


def test_secrets_are_for_their_owner_only(plan: DevnetPlan) -> None:
    write_homes(plan, 1_800_000_000_000)
    for file in (plan.creator_key_file, *(trainer.key_file for trainer in plan.trainers)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_where_everything_is_stands_in_one_file(plan: DevnetPlan) -> None:
    write_homes(plan, 1_800_000_000_000)
    described = json.loads((plan.settings.home / "devnet.json").read_text())
    assert [node["api"] for node in described["nodes"]] == [node.api_address for node in plan.nodes]


def test_a_devnet_is_not_written_over_another(plan: DevnetPlan) -> None:
    write_homes(plan, 1_800_000_000_000)
    with pytest.raises(HomeExists):
        write_homes(plan, 1_900_000_000_000)


def test_clearing_empties_a_devnets_folder_and_leaves_any_other_alone(plan: DevnetPlan, tmp_path: Path) -> None:
    write_homes(plan, 1_800_000_000_000)
    clear_home(plan.settings.home)
    assert list(plan.settings.home.iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    clear_home(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_preferred_ports_are_distinct_and_enough() -> None:
    ports = list_preferred_ports(4)
    assert len(set(ports)) == 4 * PORTS_PER_NODE
    assert ports[:4] == (9700, 9701, 9702, 9703)


def test_the_shipped_chains_are_found_by_name() -> None:
    assert set(list_shipped_chains()) == {"devnet", "minimal", "testnet"}
    with pytest.raises(ChainUnknown, match="devnet, minimal, testnet"):
        load_shipped_genesis("../pyproject")
