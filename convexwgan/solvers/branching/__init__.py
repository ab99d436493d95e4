"""Branch and bound for few samples in the plane: whole numbers of samples in ever narrower sectors."""
