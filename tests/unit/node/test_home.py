"""A node's folder: made once, read back, never overwritten unasked."""

from __future__ import annotations

import pytest

from flockchain.crypto.keystore import KeyRole, WrongPassword, compute_public_key
from flockchain.node.config import ApiConfig, NodeConfig
from flockchain.node.home import (
    PASSWORD_VARIABLE,
    Home,
    HomeExists,
    HomeIncomplete,
    PasswordMissing,
    generate_secrets,
    initialise_home,
)

GENESIS = b"chain = 'test'\n"
SECRETS = generate_secrets()


def read_everything(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_new_home_holds_settings_genesis_and_keys_that_its_password_opens(tmp_path):
    config = NodeConfig(api=ApiConfig("127.0.0.1:1234"))
    home = initialise_home(tmp_path / "n", GENESIS, config, SECRETS)
    assert home.load_config() == config
    assert home.load_genesis_toml() == GENESIS
    assert home.unlock(home.load_password()) == SECRETS
    assert home.get_account() == compute_public_key(KeyRole.ACCOUNT, SECRETS.account_seed)
    assert home.get_node_id() == compute_public_key(KeyRole.NODE, SECRETS.node_seed)


def test_only_the_owner_may_read_the_folder_the_keys_and_the_password(tmp_path):
    home = initialise_home(tmp_path / "n", GENESIS, NodeConfig(), SECRETS)
    assert [path.stat().st_mode & 0o077 for path in (home.path, home.key_file, home.password_file)] == [0, 0, 0]


def test_with_a_password_of_ones_own_none_is_kept_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    home = initialise_home(tmp_path / "n", GENESIS, NodeConfig(), SECRETS, "my own")
    assert not home.password_file.exists()
    with pytest.raises(PasswordMissing):
        home.load_password()
    monkeypatch.setenv(PASSWORD_VARIABLE, "my own")
    assert home.unlock(home.load_password()) == SECRETS
    with pytest.raises(WrongPassword):
        home.unlock("not my own")


def test_a_home_is_not_overwritten(tmp_path):
    initialise_home(tmp_path, GENESIS, NodeConfig(), SECRETS)
    before = read_everything(tmp_path)
    with pytest.raises(HomeExists):
        initialise_home(tmp_path, b"chain = 'another'\n", NodeConfig(), generate_secrets())
    assert read_everything(tmp_path) == before


def test_when_forced_the_old_keys_stay_beside_the_new_ones_and_data_is_not_touched(tmp_path):
    home = initialise_home(tmp_path, GENESIS, NodeConfig(), SECRETS)
    old_keys = home.key_file.read_bytes()
    home.data.mkdir()
    (home.data / "votes.journal").write_bytes(b"what was signed")
    fresh = generate_secrets()
    initialise_home(tmp_path, b"chain = 'another'\n", NodeConfig(), fresh, is_forced=True)
    assert home.unlock(home.load_password()) == fresh
    assert home.load_genesis_toml() == b"chain = 'another'\n"
    assert (home.key_file.parent / "node.replaced-1").read_bytes() == old_keys
    assert (home.data / "votes.journal").read_bytes() == b"what was signed"


def test_an_empty_folder_is_no_home(tmp_path):
    with pytest.raises(HomeIncomplete):
        Home(tmp_path).load_config()
    with pytest.raises(HomeIncomplete):
        Home(tmp_path).load_genesis_toml()


def test_secrets_do_not_show_in_a_representation():
    assert SECRETS.account_seed.hex() not in repr(SECRETS)
    assert "seed" not in repr(SECRETS)
