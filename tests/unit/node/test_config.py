"""node.toml: what it may say, and what is refused."""

from __future__ import annotations

import pytest

from flockchain.node.config import (
    ApiConfig,
    BadNodeConfig,
    EvaluatorConfig,
    LogConfig,
    MetricsConfig,
    NodeConfig,
    PeerConfig,
    StorageConfig,
    SyncConfig,
    decode_config,
    encode_config,
    require_address,
)

FULL = NodeConfig(
    PeerConfig("0.0.0.0:9000", "node.example.org:9000", ("10.0.0.1:9000", "[::1]:9000"), 8, False),
    ApiConfig("127.0.0.1:0"),
    EvaluatorConfig("127.0.0.1:7000", 1_000, 5_000),
    MetricsConfig("127.0.0.1:9702"),
    LogConfig("debug", "json"),
    SyncConfig(False, 500, "1000:" + "ab" * 32),
    StorageConfig(250, 5_000),
)


@pytest.mark.parametrize("config", [NodeConfig(), FULL], ids=["defaults", "everything set"])
def test_what_is_written_is_read_back(config):
    assert decode_config(encode_config(config)) == config


def test_an_empty_file_means_the_defaults_and_they_listen_on_loopback_only():
    config = decode_config(b"")
    assert config == NodeConfig()
    assert config.peer.listen.startswith("127.0.0.1:")
    assert config.api.listen.startswith("127.0.0.1:")
    assert config.metrics.listen == ""


@pytest.mark.parametrize(
    "text",
    [
        "[peer]\nlisten_at = '127.0.0.1:1'",
        "[peers]\n",
        "chain = 'x'",
        "peer = 3",
        "[peer]\nlisten = 9700",
        "[peer]\nlisten = 'nowhere'",
        "[peer]\nlisten = '127.0.0.1:70000'",
        "[peer]\nlisten = '127.0.0.1:-1'",
        "[peer]\nlisten = '::1:9700'",
        "[peer]\npeers = ['127.0.0.1:0']",
        "[peer]\npeers = '127.0.0.1:9700'",
        "[peer]\npeers = [9700]",
        "[sync]\nlag_blocks = 0",
        "[sync]\ncheckpoint = 'latest'",
        "[sync]\ncheckpoint = '0:" + "ab" * 32 + "'",
        "[sync]\ncheckpoint = '10:" + "AB" * 32 + "'",
        "[sync]\ncheckpoint = '10:" + "ab" * 31 + "'",
        "[storage]\nkeep_blocks = -1",
        "[storage]\nkeep_blocks = 10",
        "[storage]\nsnapshot_blocks = -5",
        "[peer]\nmax_peers = 0",
        "[peer]\nmax_peers = 1000000",
        "[peer]\nmax_peers = true",
        "[peer]\ndiscover = 1",
        "[evaluator]\nsilence_limit_ms = 0",
        "[evaluator]\nsilence_limit_ms = 10\ntime_limit_ms = 9",
        "[log]\nlevel = 'loud'",
        "[log]\nformat = 'xml'",
        "[metrics]\nlisten = '9702'",
        "not toml at all [",
    ],
)
def test_a_setting_that_cannot_be_is_refused(text):
    with pytest.raises(BadNodeConfig):
        decode_config(text.encode())


def test_bytes_that_are_not_text_are_refused():
    with pytest.raises(BadNodeConfig):
        decode_config(b"\xff\xfe")


def test_an_unknown_key_is_named():
    with pytest.raises(BadNodeConfig, match=r"peer\.lisen"):
        decode_config(b"[peer]\nlisen = '127.0.0.1:1'")


@pytest.mark.parametrize(("text", "parts"), [("a.b:1", ("a.b", 1)), ("[::1]:65535", ("::1", 65_535))])
def test_an_address_has_a_host_and_a_port(text, parts):
    assert require_address(text, "key") == parts
