"""A saved network as a function of faces: compiled, batched, explained."""
