"""What a person trusts: read from the options and the file, kept durably, and refused with what to do next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flockchain.cli import app as cli
from flockchain.cli.exit_codes import ExitCode, UserMistake
from flockchain.cli.state import parse_key
from flockchain.cli.trust import keeping_evidence, parse_duration_ms, parse_trusted, read_trust, write_trust
from flockchain.light import LIGHT_BLOCK, HeadersConflict, TrustExpired
from flockchain.runtime.pallets.staking import SETS
from tests.kit.light_chain import LightChain

CHAIN = LightChain.make([{"a": 10, "b": 10, "c": 10, "d": 10}])
CaptureFixture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90_000), ("30m", 1_800_000), ("36h", 129_600_000),
                                              ("14d", 1_209_600_000)])  # fmt: skip
def test_a_time_has_a_unit(text: str, wanted: int) -> None:
    assert parse_duration_ms(text) == wanted


@pytest.mark.parametrize("text", ["", "0d", "5", "-1d", "1.5h", "1w", "1 d", "٣d", "d"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(UserMistake):
        parse_duration_ms(text)


def test_a_trusted_block_is_a_height_and_a_hash() -> None:
    assert parse_trusted(None) == (0, None)
    assert parse_trusted("17:" + "ab" * 32) == (17, bytes.fromhex("ab" * 32))
    for text in ("17", "17:", ":" + "ab" * 32, "x:" + "ab" * 32, "1" * 20 + ":" + "ab" * 32, "17:" + "ab" * 31):
        with pytest.raises(UserMistake):
            parse_trusted(text)


def test_a_state_key_is_written_by_pallet_item_and_hex() -> None:
    assert parse_key("staking/set/0000000000000002") == SETS.get_key(2)  # type: ignore[arg-type]
    assert parse_key("system/nonce") == b"system/nonce/"
    assert parse_key("0x0102") == b"\1\2"
    for text in ("", "x", "a/b/xyz", "0xz", "/b", "a/"):
        with pytest.raises(UserMistake):
            parse_key(text)


def test_trust_is_kept_and_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "light" / "trust"
    assert read_trust(file) is None
    client = CHAIN.trust()
    client.verify(CHAIN.get_light_block(3), CHAIN.get_time(4))
    write_trust(file, client.store)
    assert read_trust(file) == client.store
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserMistake, match="cannot be read") as caught:
        read_trust(file)
    assert caught.value.hint


def test_status_shows_what_is_trusted_and_asks_no_node(tmp_path: Path, capsys: CaptureFixture) -> None:
    file = tmp_path / "trust"
    assert cli.run(["light", "status", "--trust", str(file)]) == ExitCode.NOT_FOUND
    client = CHAIN.trust()
    client.verify(CHAIN.get_light_block(3), CHAIN.get_time(4))
    write_trust(file, client.store)
    capsys.readouterr()
    assert cli.run(["light", "status", "--trust", str(file), "--output", "json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert (shown["height"], shown["epoch"], shown["anchor_height"]) == (3, 0, 0)
    assert shown["genesis_hash"] == CHAIN.genesis_hash.hex()


def test_the_evidence_of_an_attack_is_written_down_before_the_error_goes_on(tmp_path: Path) -> None:
    first, second = CHAIN.get_light_block(2), CHAIN.get_light_block(3)
    with pytest.raises(HeadersConflict), keeping_evidence(tmp_path):
        raise HeadersConflict("two blocks", first=first, second=second)
    document = json.loads((tmp_path / "conflict-2.json").read_text())
    assert [LIGHT_BLOCK.decode(bytes.fromhex(text)) for text in document["light_blocks"]] == [first, second]
    with pytest.raises(TrustExpired), keeping_evidence(tmp_path / "other"):
        raise TrustExpired("old")
    assert not (tmp_path / "other").exists()
