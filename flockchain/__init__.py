"""flockchain: a proof-of-stake chain whose blocks are valid only with proof-of-validation votes."""

__version__ = "0.1.0"
__all__ = ["__version__"]
