"""A validator whose disk is full, among others whose disks are not: it stops, they go on, and it comes back.

Needs a user who may mount a small disk. Which of its files asks for the last page is left to chance: the journal of
votes and the database grow side by side, and what is promised here holds for both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flockchain.devnet.processes import Process, find_free_ports
from flockchain.storage.disk import DiskFull
from flockchain.storage.journal import open_journal
from tests.e2e.network import FLOCKCHAIN, Network
from tools.chaos.verdict import Votes

pytestmark = pytest.mark.e2e

NAME = "validator-2"
OTHERS = ("validator-0", "validator-1", "validator-3")
EXIT_FAULT = 4
DISK_BYTES = 8 * 2**20
ROOM_BYTES = 192 * 2**10  # what the filler leaves: some seconds of votes and blocks
MAY_BE_MISSING = "records of what this node signed may be missing"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Four planned validators; the home of one of them is a disk of its own."""
    planned = Network.plan(tmp_path / "net", 4, epoch_blocks=20, idle_block_ms=100)
    home = planned.nodes[NAME].home
    written = home.rename(tmp_path / "written")
    home.mkdir()
    mount(home)
    try:
        shutil.copytree(written, home, dirs_exist_ok=True)
        yield planned
    finally:
        try:
            planned.close()
        finally:
            subprocess.run(["umount", "-l", str(home)], check=True)


def mount(folder: Path) -> None:
    program = shutil.which("mount")
    if program is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    command = [program, "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "none", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"this machine does not let us mount a small disk: {made.stderr.strip()}")


def start(network: Network) -> Process:
    """Start the validator of the small disk, without the promise that it goes on."""
    return network.fleet.start(NAME, (*FLOCKCHAIN, "start", "--home", str(network.nodes[NAME].home)))


def start_observer(network: Network) -> Path:
    """A peer of all, that writes down every vote that it hears; where to."""
    records = network.folder / "observer.jsonl"
    (port,) = find_free_ports(1)
    peers = [option for node in network.nodes.values() for option in ("--peer", node.peer_address)]
    network.fleet.start(
        "observer",
        (
            sys.executable, "-m", "tools.chaos.observer", "--genesis", str(network.genesis_file),
            "--listen", f"127.0.0.1:{port}", "--out", str(records), *peers,
        ),
    )  # fmt: skip
    return records


def fill(home: Path, room_bytes: int) -> None:
    """Leave that much room and no more, whatever was filled before."""
    with (home / "filler").open("ab") as filler:
        held = os.statvfs(home)
        filler.write(bytes(max(0, held.f_bavail * held.f_frsize - room_bytes)))


def require_stopped_by_full_disk(network: Network, process: Process, lines_before: int) -> None:
    """Its exit code is a fault's, its last line says why, nothing else complains, and nothing is a traceback."""
    assert process.handle.wait(30) == EXIT_FAULT, process.get_log_tail()
    lines = network.get_log(NAME).splitlines()[lines_before:]
    said = [json.loads(line) for line in lines]  # one object a line, to the last
    (complaint,) = [each for each in said if each["level"] == "error"]
    assert complaint == said[-1]
    assert (complaint["event"], complaint["kind"]) == ("node stopped", DiskFull.__name__)
    assert complaint["reason"].startswith("the disk is full (")
    assert str(network.nodes[NAME].home) in complaint["reason"]


def copy_journals(network: Network, name: str, to: Path) -> Path:
    """The journals of a validator that does not run, as they lie there."""
    to.mkdir()
    for file in (network.nodes[name].home / "data").glob("*.journal"):
        shutil.copyfile(file, to / file.name)
    return to


def read_records(folder: Path, kind: str) -> tuple[bytes, ...]:
    """A journal's records; no part of one lies behind them."""
    journal = open_journal(folder / f"{kind}.journal")
    journal.close()
    assert journal.dropped_bytes == 0
    return journal.records()


def get_signer(network: Network, name: str) -> str:
    """How votes name a validator: its place in the set, which is ordered by account."""
    accounts = sorted(node.secrets.account for node in network.nodes.values())
    return str(accounts.index(network.nodes[name].secrets.account))


def find_last_vote(votes: Votes, signer: str) -> tuple[int, int]:
    """The epoch and view that a validator voted in last, as far as anybody saw."""
    return max((epoch, view) for who, epoch, view, _ in votes.seen if who == signer)


def test_a_validator_on_a_full_disk_stops_alone_and_comes_back_with_all_it_had_signed(
    network: Network, tmp_path: Path
) -> None:
    home, signer, votes = network.nodes[NAME].home, get_signer(network, NAME), Votes()
    for name in OTHERS:
        network.start(name)
    process, heard = start(network), start_observer(network)
    network.wait_for_height(5)

    fill(home, ROOM_BYTES)
    require_stopped_by_full_disk(network, process, 0)
    height = network.get_height(OTHERS[0])
    network.wait_for_height(height + 5, *OTHERS)

    votes.hear(heard)
    held = copy_journals(network, NAME, tmp_path / "held")
    votes.read_journal(held, signer)
    signed, last = read_records(held, "votes"), find_last_vote(votes, signer)

    fill(home, 0)
    lines = len(network.get_log(NAME).splitlines())
    require_stopped_by_full_disk(network, start(network), lines)
    assert read_records(copy_journals(network, NAME, tmp_path / "still"), "votes") == signed

    (home / "filler").unlink()
    start(network)
    network.wait_for_height(network.get_height(OTHERS[0]) + 5)
    network.wait_until(lambda: has_voted_since(votes, heard, signer, last), "it votes again")
    assert MAY_BE_MISSING not in network.get_log(NAME)

    heights = range(height + 5)
    chains = [[network.get_client(name).chain.get_block_hash(at) for at in heights] for name in network.nodes]
    assert all(chain == chains[0] for chain in chains)
    assert [network.stop(name) for name in network.nodes] == [0, 0, 0, 0]
    for name in network.nodes:
        votes.hear(heard)
        votes.read_journal(copy_journals(network, name, tmp_path / name), get_signer(network, name))
    assert read_records(tmp_path / NAME, "votes")[: len(signed)] == signed
    assert (votes.find_contradictions(), votes.unjournaled) == ([], [])


def has_voted_since(votes: Votes, heard: Path, signer: str, last: tuple[int, int]) -> bool:
    votes.hear(heard)
    return find_last_vote(votes, signer) > last
