"""A saved network as a function of faces: compiled, batched, explained."""

MAX_BATCH = 64  # faces in the largest batch that is compiled unless another is asked for
