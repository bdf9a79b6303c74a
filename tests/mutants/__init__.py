"""Protocol mutants: rules broken on purpose, each of which the simulator must notice."""
