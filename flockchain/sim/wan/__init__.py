"""A network as wide as the world: where its nodes are, how long their messages take, and what the best would be."""
