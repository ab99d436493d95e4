"""Gradient descent–ascent, the method that the closed forms and convex programs replace: for comparison only."""
