"""Floor 3 of the learning side: evaluator and trainer services, the trainer's agent. It alone knows the chain."""
