"""Every theorem of the package, in one tuple. Routes are searched over this tuple or any part of it."""

from __future__ import annotations

from convexwgan.theory.branching_over_sectors import BranchingOverSectors
from convexwgan.theory.convex_concave_free_generator import FreePiecewiseMeans
from convexwgan.theory.convex_concave_linear_generator import LinearPiecewiseMeans
from convexwgan.theory.corollary_3_1_mean_matching import MeanMatching
from convexwgan.theory.corollary_3_2_covariance_matching import CovarianceMatching
from convexwgan.theory.corollary_3_3_skip_connection import MeanAndCovarianceMatching
from convexwgan.theory.covariance_program import CovarianceProgram
from convexwgan.theory.covariance_saddle import CovarianceSaddle
from convexwgan.theory.equation_4_free_generator import FreeThreshold
from convexwgan.theory.equation_16_coupled_game import CoupledGame
from convexwgan.theory.equation_36_norm_bound import NormBoundThreshold
from convexwgan.theory.gaussian_noise_program import GaussianNoise
from convexwgan.theory.joint_relu_weights import JointReluWeights
from convexwgan.theory.lemma_3_1_weight_decay import WeightDecay
from convexwgan.theory.lemma_c2_norm_bound import NormBound
from convexwgan.theory.matched_spectra import MatchedSpectra
from convexwgan.theory.mean_shrinkage import MeanShrinkage
from convexwgan.theory.mean_zonotope import MeanZonotope
from convexwgan.theory.moment_program import MomentProgram
from convexwgan.theory.ordered_cones_on_the_line import OrderedCones
from convexwgan.theory.population_game import PopulationGame
from convexwgan.theory.reduction import Reduction
from convexwgan.theory.s_lemma_moment_matching import MomentMatching
from convexwgan.theory.shifted_threshold import ShiftedThreshold
from convexwgan.theory.theorem_2_1_relu_generator import ReluGenerator
from convexwgan.theory.theorem_2_2_relu_one_dimension import LeastSpreadOutput, SortedOutputs
from convexwgan.theory.theorem_4_1_convex_in_weights import ConvexInWeights
from convexwgan.theory.theorem_4_1_linear_generator import LinearThreshold
from convexwgan.theory.theorem_4_2_polynomial_generator import PolynomialGenerator

THEOREMS: tuple[Reduction, ...] = (
    WeightDecay(),
    NormBound(),
    MeanMatching(),
    CovarianceMatching(),
    MeanAndCovarianceMatching(),
    MomentMatching(),
    PolynomialGenerator(),
    ReluGenerator(),
    MeanShrinkage(),
    MeanZonotope(),
    JointReluWeights(),
    ConvexInWeights(),
    FreeThreshold(),
    LinearThreshold(),
    MatchedSpectra(),
    ShiftedThreshold(),
    NormBoundThreshold(),
    CovarianceProgram(),
    MomentProgram(),
    PopulationGame(),
    GaussianNoise(),
    FreePiecewiseMeans(),
    LinearPiecewiseMeans(),
    BranchingOverSectors(),
    SortedOutputs(),
    LeastSpreadOutput(),
    OrderedCones(),
    CovarianceSaddle(),
    CoupledGame(),
)
