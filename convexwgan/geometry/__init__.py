"""Mathematics that has never heard of GANs: moments, spectra, polynomial lifts, distances between moments."""

from __future__ import annotations

from convexwgan.geometry.distances import (
    Distance,
    linear_distance,
    polynomial_distance,
    quadratic_distance,
    s_lemma_bound,
)
from convexwgan.geometry.moments import Moments, moments_of
from convexwgan.geometry.polynomials import (
    lift,
    lifted_dimension,
    lifted_normal_moments,
    rank_one_decomposition,
    recover_neurons,
    smat,
    svec,
)
from convexwgan.geometry.spectra import (
    LatentSpectrum,
    components_threshold,
    eigh_descending,
    fix_signs,
    gram_latent_spectrum,
    gram_spectrum,
    latent_spectrum,
    psd_root,
    rank_tolerance,
    singular_value_threshold,
)

__all__ = [
    "Distance",
    "LatentSpectrum",
    "Moments",
    "components_threshold",
    "eigh_descending",
    "fix_signs",
    "gram_latent_spectrum",
    "gram_spectrum",
    "latent_spectrum",
    "lift",
    "lifted_dimension",
    "lifted_normal_moments",
    "linear_distance",
    "moments_of",
    "polynomial_distance",
    "psd_root",
    "quadratic_distance",
    "rank_one_decomposition",
    "rank_tolerance",
    "recover_neurons",
    "s_lemma_bound",
    "singular_value_threshold",
    "smat",
    "svec",
]
