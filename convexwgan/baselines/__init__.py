"""Gradient methods that convexwgan is compared with: descent–ascent, which the convex programs replace, and GANs."""
