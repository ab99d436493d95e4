"""Mathematics that has never heard of GANs: moments, spectra, lifts, distances, hyperplane arrangements, pricing."""

from __future__ import annotations

from convexwgan.geometry.arrangements import (
    Arrangement,
    SampledCells,
    cell_count_formula,
    enumerate_cells,
    sample_cells,
)
from convexwgan.geometry.cones import SimplicialCones, cone_price, triangulate
from convexwgan.geometry.distances import (
    Distance,
    linear_distance,
    polynomial_distance,
    quadratic_distance,
    s_lemma_bound,
)
from convexwgan.geometry.exhaustive import check_exhaustive, zaslavsky_count
from convexwgan.geometry.local_pricing import price_local
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
from convexwgan.geometry.pricing import PricingResult, price, price_scalar, price_upper_bound
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
    "Arrangement",
    "Distance",
    "LatentSpectrum",
    "Moments",
    "PricingResult",
    "SampledCells",
    "SimplicialCones",
    "cell_count_formula",
    "check_exhaustive",
    "components_threshold",
    "cone_price",
    "eigh_descending",
    "enumerate_cells",
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
    "price",
    "price_local",
    "price_scalar",
    "price_upper_bound",
    "psd_root",
    "quadratic_distance",
    "rank_one_decomposition",
    "rank_tolerance",
    "recover_neurons",
    "s_lemma_bound",
    "sample_cells",
    "singular_value_threshold",
    "smat",
    "svec",
    "triangulate",
    "zaslavsky_count",
]
