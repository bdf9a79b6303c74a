"""Floor 5: one participant of the chain. `Replica` takes events and returns effects; `assemble_replica` builds one."""
