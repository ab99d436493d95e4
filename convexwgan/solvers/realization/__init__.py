"""Weights of a ReLU generator: the cheapest two-layer network with a given output (Lemma C.1)."""
