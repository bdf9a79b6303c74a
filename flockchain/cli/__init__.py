"""The command line: one verb or noun a file. It parses, calls and prints; it decides nothing.

Modules here import only `typer` at their top, so that `flockchain --help` answers at once;
what a verb needs is imported when the verb runs.
"""
