"""Problem: plan → run → invert → certify."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, as_samples, column_names, device_of, to_numpy64
from convexwgan.certificates.evidence import Evidence, gather_evidence
from convexwgan.certificates.normal_games import normal_distance_bound
from convexwgan.errors import InputError
from convexwgan.fitted import FittedGenerator
from convexwgan.geometry.distances import Distance, linear_distance, polynomial_distance, quadratic_distance
from convexwgan.geometry.moments import moments_of
from convexwgan.geometry.normal_distances import normal_distance
from convexwgan.geometry.polynomials import lifted_dimension
from convexwgan.geometry.relu_distances import relu_distance
from convexwgan.inputs import check_equal_masses, data_checksum, data_fingerprint, fake_count, read_noise
from convexwgan.judged import Callback, better_of, check_warm_start, judged, start_of
from convexwgan.relu_weights import WeightRun
from convexwgan.solution import Solution
from convexwgan.solvers.memory import predicted_memory
from convexwgan.solvers.run import Limits, run_form
from convexwgan.spec.latent import DrawnNoise
from convexwgan.spec.validation import tolerance, weight_decay
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.explanation import Explanation, explain_route
from convexwgan.theory.forms import Form, Line, Normalize
from convexwgan.theory.routes import Route, first_form, plan

logger = logging.getLogger("convexwgan")

_CACHED = ("data", "evidence", "_fingerprint")
"""What a Problem computes from its data once."""


class Problem:
    """One WGAN on one set of data; checks shapes, dtype and finiteness now, not in ``solve``.

    Problem:
        min over generators, max over discriminators of 1ᵀD(X) − 1ᵀD(G) + R_g − R_d
        (``normalize="mean"``: means in place of sums).

    Args:
        wgan: discriminator + generator [+ regulariser].
        X: real data (n_r, d_r): NumPy, PyTorch (CPU or CUDA), any array-API library, a DataFrame or lists.
        Z: noise (n_f, d_f) of the same library, noise drawn by ``Latent.draw``, or a ``Latent`` (population noise,
            ``normalize="mean"`` only). Not for ``Generator.free`` and ``distribution``.
        n_fake: n_f for ``free`` and ``distribution``; default n_r.
        normalize: "sum" (the paper's convention) or "mean".

    Raises:
        InputError: any of the above is not as it must be.

    >>> import numpy as np
    >>> from convexwgan import Discriminator, Generator, Problem
    >>> X = np.diag([3.0, 2.0, 1.0])
    >>> solution = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), X).solve()
    >>> solution.status.name, round(solution.value, 9), round(solution.bound, 9)
    ('CERTIFIED', 4.5, 4.5)
    """

    def __init__(
        self, wgan: WGAN, X: Any, Z: Any = None, *, n_fake: int | None = None, normalize: Normalize = "sum"
    ) -> None:
        if not isinstance(wgan, WGAN):
            raise InputError(
                "wgan",
                wgan,
                "be a composed WGAN",
                "compose one, as Discriminator.quadratic(beta=2.0) + Generator.linear()",
            )
        _, generator = wgan.players
        given: Any = normalize
        if not isinstance(given, str) or given not in ("sum", "mean"):
            raise InputError("normalize", normalize, 'be "sum" or "mean"', 'the paper sums; populations need "mean"')
        self.wgan, self.normalize = wgan, normalize
        self.columns = column_names(X)
        self.X = as_samples(X, "X")
        self.Z, self.recipe = read_noise(generator, self.X, Z, normalize)
        self.n_fake = fake_count(generator, self.X, self.Z, n_fake)
        self.seed = Z.seed if isinstance(Z, DrawnNoise) else None
        self.is_population = generator.needs_noise and self.Z is None
        self.latent = self.recipe if self.is_population else None

    # ---- plan ------------------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> GameData:
        """The data, factored lazily and once."""
        return GameData(self.wgan, self.X, self.Z, self.latent, self.n_fake, self.normalize)

    @cached_property
    def evidence(self) -> Evidence:
        """The same data as ``certificates/`` sees them: recomputed by its own code in float64 NumPy."""
        return gather_evidence(
            self.wgan, self.X, Z=self.Z, latent=self.latent, n_fake=self.n_fake, normalize=self.normalize
        )

    @property
    def root(self) -> Form:
        """The game as the user wrote it, with what of the data's shape the theorems ask for."""
        return first_form(self.wgan, self.normalize, self.is_population, self._line)

    @property
    def _line(self) -> Line:
        """Whether the game is one of numbers under biased ReLU neurons, and n_f a multiple of n_r."""
        discriminator, generator = self.wgan.players
        one_feature = discriminator.bias and int(self.X.shape[1]) == 1
        if not one_feature or self.is_population or generator.kind == "distribution":
            return ""
        return "nested" if self.n_fake % int(self.X.shape[0]) == 0 else "general"

    def route(self, method: str = "auto") -> Route:
        """The cheapest chain of theorems that ends in a form which ``method`` runs.

        Raises:
            NotCoveredError: no theorem covers the pair.
        """
        given: Any = method
        if not isinstance(given, str) or given not in self._routes:
            self._routes[method] = plan(self.root, method)
        return self._routes[method]

    @cached_property
    def _routes(self) -> dict[str, Route]:
        return {}

    def explain(self, data: bool = True) -> Explanation:
        """The route, theorem by theorem; with ``data`` each condition is evaluated on the data (factored once, cached).

        Raises:
            NotCoveredError: no theorem covers the pair; with the reason and the nearest pair that works.
        """
        route = self.route()
        if data:
            self._forget_changed_data()
        return explain_route(
            route,
            self.data if data else None,
            predicted_memory(route.last, self.n_fake, int(self.X.shape[1]), self._feature_count),
        )

    @property
    def _feature_count(self) -> int:
        """Columns that the weights act on, after lifting, without touching the data."""
        latent = int(self.Z.shape[1]) if self.Z is not None else self.latent.dim if self.latent is not None else 0
        return lifted_dimension(latent) if self.wgan.players[1].kind == "polynomial" else latent

    # ---- run, invert, certify --------------------------------------------------------------------------------

    def solve(
        self,
        method: str = "auto",
        solver: str | None = None,
        tol: float | None = None,
        max_iter: int | None = None,
        time_limit: float | None = None,
        device: Any = None,
        warm_start: Solution | None = None,
        callback: Callback | None = None,
        verbose: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> Solution:
        """A generator with a verified lower and upper bound.

        Args:
            method: "auto" (cheapest route), "closed_form", "conic", "column_generation", "convex_concave", "saddle" or
                "global" (free samples in the plane, branch and bound; a time limit of 60 s where none is given).
            solver: for conic: CLARABEL (default), SCS or MOSEK.
            tol: relative gap and violation that CERTIFIED asks for; default 1e-6 in float64, 1e-4 in float32.
            max_iter, time_limit: limits of the method (a closed form does not iterate); on hitting one the status
                earned so far is returned and ``stats.stopped`` says so.
            device: where closed forms run; must be the device of X or reachable by its library.
            warm_start: a Solution of the same architecture; the better of it and the new one is returned.
            callback: called with the bounds as they become known.
            verbose: let a conic solver write its log.
            options: the conic solver's own options; for "convex_concave" ``rng`` (seed) and ``starts`` (how many).

        Raises:
            NotCoveredError, InputError, SolverUnavailableError, MemoryLimitError: before anything is computed.
        """
        if device is not None and str(device) != str(device_of(self.X)):
            moved = self._moved_to(device)
            return moved.solve(method, solver, tol, max_iter, time_limit, None, warm_start, callback, verbose, options)
        tol = self._tolerance(tol)
        given: Any = callback
        if given is not None and not callable(given):
            remedy = "it is called with a dict of stage, lower, upper, seconds"
            raise InputError("callback", given, "be callable", remedy)
        route = self.route(method)
        limits = Limits(solver, tol, max_iter, time_limit, verbose, options)
        limits.check(route.method)
        check_equal_masses(self.wgan, int(self.X.shape[0]), self.n_fake, self.normalize)
        check_warm_start(warm_start, self)
        self._forget_changed_data()
        start = start_of(warm_start, self) if route.method in ("convex_concave", "global") else None
        candidate, times = self._candidate(route, limits, callback, start)
        run = WeightRun(limits.after(times["run"]), method, callback, warm_start)
        solution = judged(self, candidate, route.method, run, times)
        solution = better_of(solution, warm_start, self)
        if callback is not None:
            report = {"lower": solution.bound, "upper": solution.value, "seconds": solution.stats.seconds}
            callback({"stage": route.method, **report})
        logger.info("%s", solution)
        return solution

    def _candidate(
        self, route: Route, limits: Limits, callback: Callback | None, warm: Float64 | None = None
    ) -> tuple[Candidate, dict[str, float]]:
        """Run the last form, then carry the candidate back through each theorem's inverse, last to first."""
        start = time.perf_counter()
        try:
            candidate = run_form(route.last, self.data, limits, callback, warm)
        except KeyboardInterrupt:  # what was earned so far is returned, and says that it was stopped
            candidate = Candidate(stopped="interrupt")
        ran = time.perf_counter()
        for step in reversed(route.steps):
            candidate = step.theorem.invert(step.form, candidate, self.data)
        if candidate.weights is not None:
            candidate = candidate.having(weights=self.data.in_users_units(candidate.weights))
        return candidate, {"run": ran - start, "invert": time.perf_counter() - ran}

    def _tolerance(self, tol: float | None) -> float:
        if tol is not None:
            return tolerance("tol", tol)
        return 1e-4 if "float32" in str(self.X.dtype) else 1e-6

    def _moved_to(self, device: Any) -> Problem:
        """The same problem on another device of the same array library."""
        from array_api_compat import to_device

        from convexwgan.arrays import movable

        movable(self.X, device)
        twin = Problem.__new__(Problem)
        twin.__dict__.update({k: v for k, v in self.__dict__.items() if k not in (*_CACHED, "_routes", "_checksum")})
        twin.X = to_device(self.X, device)
        twin.Z = None if self.Z is None else to_device(self.Z, device)
        return twin

    # ---- more ways to look -----------------------------------------------------------------------------------

    def path(self, betas: Iterable[float]) -> Iterator[Solution]:
        """Solutions along β_d, lazily, sharing one factorisation.

        Raises:
            InputError: the discriminator is under a norm bound, so there is no β_d to move along; betas are not
                numbers > 0.
        """
        given: Any = betas
        if not isinstance(given, Iterable) or isinstance(given, (str, bytes)) or getattr(given, "ndim", 1) == 0:
            raise InputError("betas of path", given, "be several numbers", "give a list, as path([3.0, 2.0, 1.0])")
        discriminator, _ = self.wgan.players
        if discriminator.norm_bound:
            raise InputError(
                "path of a norm bound", discriminator, "be under weight decay", "use beta= in place of norm_bound=True"
            )
        values = [weight_decay("beta of path", beta) for beta in betas]
        return (self._at_beta(beta).solve() for beta in values)

    def _at_beta(self, beta: float) -> Problem:
        discriminator, generator = self.wgan.players
        wgan = WGAN(replace(discriminator, beta=beta, components=None), generator, self.wgan.chosen_regularizer)
        twin = Problem.__new__(Problem)
        twin.__dict__.update({k: v for k, v in self.__dict__.items() if k not in (*_CACHED, "_routes", "_checksum")})
        twin.wgan = wgan
        twin.data = self.data.at_beta(wgan)
        twin.evidence = self.evidence.with_beta(beta)
        return twin

    def dist(self, G: Any) -> Distance:
        """dist_D(X, G) by its definition, max_{‖u‖≤1} |1ᵀσ(Xu) − 1ᵀσ(Gu)|, for any output G (n_f, d_r).

        Under ReLU neurons without bias and population noise a fitted linear generator may take the place of G: its
        whole population is then compared, E(zᵀWu)₊ = ‖Wu‖/√(2π).

        Returns:
            Distance with value, the maximising neuron u (and b), and whether the value is exact. For a skip
            connection the unregularised part is not in it: it asks for s = m. For ReLU neurons beyond rank 3 the
            value is a lower bound by local search, and ``upper`` a proven upper bound.

        Raises:
            InputError: G has other columns than X.
        """
        if self._is_gaussian(G):
            found = normal_distance(to_numpy64(self.X), to_numpy64(G.weights), np.full(len(self.X), 1 / len(self.X)))
            upper, is_proven = normal_distance_bound(to_numpy64(self.X), to_numpy64(G.weights))
            return found if found.is_exact or not is_proven else replace(found, upper=max(upper, found.value))
        G = as_samples(G, "G")
        if int(G.shape[1]) != int(self.X.shape[1]):
            raise InputError(
                "G",
                G,
                f"have {self.X.shape[1]} columns, as X has",
                "give generated samples with the features of the data",
            )
        discriminator = self.wgan.players[0]
        if discriminator.kind == "relu":
            x, g = to_numpy64(self.X), to_numpy64(G)
            w, v = (
                (None, None) if self.normalize == "sum" else (np.full(len(x), 1 / len(x)), np.full(len(g), 1 / len(g)))
            )
            return relu_distance(x, g, bias=discriminator.bias, real_weights=w, fake_weights=v)
        real, fake = (moments_of(to_numpy64(table), normalize=self.normalize) for table in (self.X, G))
        if discriminator.kind == "linear":
            return linear_distance(real.first, fake.first)
        if discriminator.kind == "quadratic":
            return quadratic_distance(real.second, fake.second)
        gap = real.mass - fake.mass
        return polynomial_distance(real.second, fake.second, real.first, fake.first, gap, discriminator.activation)

    def _is_gaussian(self, G: Any) -> bool:
        """Whether G is a linear generator with Gaussian noise that ReLU neurons without bias compare with X."""
        if not isinstance(G, FittedGenerator) or G.spec.kind != "linear":
            return False
        discriminator = self.wgan.players[0]
        fits = self.is_population and discriminator.kind == "relu" and not discriminator.bias
        return fits and int(G.weights.shape[1]) == int(self.X.shape[1])

    def to_cvxpy(self) -> Any:
        """The conic form as a ``cvxpy.Problem`` with named variables.

        Raises:
            NotConicError: no exact conic form exists; with the obstacle.
        """
        from convexwgan.solvers.conic_forms import natural_model

        return natural_model(self._conic_form(), self.data).problem

    def relaxation(self) -> Any:
        """A lower-bound program (``cvxpy.Problem``) where there is one: quadratic × ``weights`` (MATH 3.3), or noise
        of too little rank for the exact program.

        Raises:
            NotConicError: the exact conic form is at hand (``to_cvxpy``), or none is known.
        """
        from convexwgan.solvers.conic_forms import relaxed_model

        return relaxed_model(self.root, self.data).problem

    def export(self, path: str | Path) -> Path:
        """Write the conic form as CBF (.cbf) or SDPA (.dat-s).

        Raises:
            NotConicError: no exact conic form. InputError: another suffix.
        """
        from convexwgan.solvers.conic_forms import natural_model, write

        return write(natural_model(self._conic_form(), self.data), path)

    def _conic_form(self) -> Any:
        from convexwgan.solvers.conic_forms import conic_last_form

        return conic_last_form(self.root)

    def fingerprint(self) -> str:
        """SHA-256 of the data (X, noise, counts, convention), as hexadecimal text."""
        self._forget_changed_data()
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return data_fingerprint(self.X, self.Z, f"{self.n_fake}|{self.normalize}|{self.latent!r}")

    def _forget_changed_data(self) -> None:
        """Drop every factorisation if X or Z were changed in place since it was made."""
        checksum = data_checksum(self.X, self.Z)
        if self.__dict__.setdefault("_checksum", checksum) != checksum:
            for name in _CACHED:
                self.__dict__.pop(name, None)
            self.__dict__["_checksum"] = checksum
