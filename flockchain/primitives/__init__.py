"""Floor 0: numbers, the canonical codec, records, errors and limits. Knows no hashing, no state and no I/O."""
