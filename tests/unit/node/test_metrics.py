"""What Prometheus reads."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from flockchain.node.metrics import MetricsUnavailable, NodeCounters, NodeGauges, start_metrics


def test_the_figures_are_served_and_follow_the_node():
    counters = NodeCounters()
    height = 7
    server = start_metrics("127.0.0.1:0", counters, lambda: NodeGauges(height, 1, 9, 3, 2, False, True))
    try:
        counters.blocks_finalized = 5
        counters.on_misdeed("BAD_FRAME")
        counters.on_ban("host")
        for _ in range(3):
            counters.on_drop("gossip")
        counters.on_link_end("SLOW_READER")
        for latency_ms in (5, 60, 60, 99_999):
            counters.on_finality(latency_ms)
        height = 8
        with urlopen(f"http://127.0.0.1:{server.port}/metrics") as reply:
            text = reply.read().decode()
        with pytest.raises(MetricsUnavailable):
            start_metrics(f"127.0.0.1:{server.port}", counters, lambda: NodeGauges(0, 0, 0, 0, 0, False, False))
    finally:
        server.stop()
    lines = text.splitlines()
    for line in (
        "flockchain_height 8.0",
        "flockchain_peers 3.0",
        "flockchain_blocks_finalized_total 5.0",
        'flockchain_peer_misdeeds_total{kind="BAD_FRAME"} 1.0',
        'flockchain_bans_total{what="host"} 1.0',
        'flockchain_messages_dropped_total{channel="gossip"} 3.0',
        'flockchain_links_ended_total{reason="SLOW_READER"} 1.0',
        'flockchain_finality_ms_bucket{le="10"} 1.0',
        'flockchain_finality_ms_bucket{le="75"} 3.0',
        'flockchain_finality_ms_bucket{le="+Inf"} 4.0',
        "flockchain_finality_ms_sum 100124.0",
    ):
        assert line in lines
