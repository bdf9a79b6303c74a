"""The real host: one node on this machine's clock, disk and sockets.

`app.run_node` runs one, `home` makes its folder, `config` is its node.toml. The door is empty on purpose: who only
makes a folder should not pay for gRPC.
"""

__all__: list[str] = []
