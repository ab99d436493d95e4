"""Gradient methods that convexwgan is compared with, behind the interface of its own models."""
