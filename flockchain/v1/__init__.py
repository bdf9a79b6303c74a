"""Generated messages and service stubs of proto/flockchain/v1. Never edited: see tools/proto/generate.py."""

__all__: list[str] = []
