"""`python -m flockchain.cli`: the same as the console script."""

from flockchain.cli.app import main

main()
