"""Models with scikit-learn's interface: fit, sample, save, load."""
