"""A wrong answer is caught: whatever is changed in a solution or its file, `verify` never says CERTIFIED for it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.errors import ConvexWGANError, FileFormatError

Array = np.ndarray[Any, np.dtype[Any]]


def data(seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((20, 3)) @ np.diag([3.0, 2.0, 1.0]) + 0.4


def noise(seed: int) -> Array:
    return np.random.default_rng(700 + seed).standard_normal((18, 5)) + np.linspace(0.2, 1.0, 5)


D, G, R = Discriminator, Generator, Regularizer
WGANS: dict[str, Any] = {
    "linear × free": D.linear(beta=4.0) + G.free(),
    "linear × linear": D.linear(beta=4.0) + G.linear(),
    "linear × linear, weights": D.linear(beta=4.0) + G.linear() + R.weights(1.0),
    "linear × linear, 1-norm": D.linear(beta=4.0) + G.linear() + R.norm(1.0),
    "linear × linear, 2-norm of weights": D.linear(beta=4.0) + G.linear() + R.norm(2.0, of="weights"),
    "linear × linear, norm bound": D.linear(norm_bound=True) + G.linear(),
    "quadratic × free": D.quadratic(beta=30.0) + G.free(),
    "quadratic × linear": D.quadratic(beta=30.0) + G.linear(),
    "quadratic × linear, weights": D.quadratic(beta=30.0) + G.linear() + R.weights(1.0),
    "quadratic × linear, components": D.quadratic(components=2) + G.linear(),
    "quadratic × polynomial": D.quadratic(beta=30.0) + G.polynomial(0.5, 1.0, 0.5),
    "quadratic × linear, norm bound": D.quadratic(norm_bound=True) + G.linear() + R.output(0.8),
    "quadratic × linear, weights, norm bound": D.quadratic(norm_bound=True) + G.linear() + R.weights(30.0),
    "skip × free": D.quadratic(beta=30.0, skip=True) + G.free(),
    "skip × linear": D.quadratic(beta=30.0, skip=True) + G.linear(),
    "skip × free, norm bound": D.quadratic(norm_bound=True, skip=True) + G.free() + R.output(0.8),
    "polynomial × free": D.polynomial(1.0, 0.5, 0.2, beta=30.0) + G.free(),
    "polynomial × linear, norm bound": D.polynomial(1.0, 0.5, 0.2, norm_bound=True) + G.linear() + R.output(0.8),
}
SOLVED: dict[str, tuple[Problem, Solution]] = {}


def case(name: str, seed: int = 0, normalize: Any = "sum") -> tuple[Problem, Solution]:
    """Problem and its honest solution, solved once; tests never change either."""
    key = f"{name}|{seed}|{normalize}"
    if key not in SOLVED:
        wgan = WGANS[name]
        Z = None if wgan.generator.kind == "free" else noise(seed)
        if wgan.generator.kind == "polynomial" and Z is not None:
            Z = Z[:, :2]
        if normalize == "mean" and wgan.discriminator.beta is not None:
            smaller = replace(wgan.discriminator, beta=wgan.discriminator.beta / 20)
            wgan = replace(wgan, discriminator=smaller)
        problem = Problem(wgan, data(seed), Z, normalize=normalize)
        SOLVED[key] = (problem, problem.solve())
    return SOLVED[key]


def judged(problem: Problem, solution: Solution) -> Status:
    certificate = verify(problem, solution)
    assert certificate.status is not Status.CERTIFIED or not certificate.failed_checks
    return certificate.status


def with_weights(solution: Solution, change: Callable[[Array], Any]) -> Solution:
    assert solution.generator is not None
    weights = change(np.array(solution.generator.weights))
    return replace(solution, generator=replace(solution.generator, weights=weights))


def with_dual(solution: Solution, **arrays: Any) -> Solution:
    return replace(solution, dual={name: a for name, a in {**solution.dual, **arrays}.items() if a is not None})


NAMES = tuple(WGANS)
DUAL = tuple(
    name for name in NAMES if name not in ("quadratic × linear, weights", "quadratic × linear, weights, norm bound")
)


# ---- honest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_an_honest_solution_is_certified_before_and_after_its_file(name: str, normalize: Any, tmp_path: Path) -> None:
    problem, solution = case(name, normalize=normalize)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert judged(problem, solution) is Status.CERTIFIED
    loaded = Solution.load(solution.save(tmp_path / "solution.safetensors"))
    assert loaded.status is Status.UNVERIFIED
    certificate = verify(problem, loaded)
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.upper == pytest.approx(solution.value, rel=1e-12)


@pytest.mark.parametrize("name", ["quadratic × linear", "linear × linear", "skip × free", "polynomial × free"])
def test_an_honest_float32_solution_is_certified_before_and_after_its_file(name: str, tmp_path: Path) -> None:
    wgan = WGANS[name]
    Z = None if wgan.generator.kind == "free" else noise(0).astype(np.float32)
    problem = Problem(wgan, data(0).astype(np.float32), Z)
    solution = problem.solve()
    assert judged(problem, solution) is solution.status is Status.CERTIFIED
    loaded = Solution.load(solution.save(tmp_path / "solution.safetensors"))
    assert judged(problem, loaded) is Status.CERTIFIED
    assert loaded.generator is not None
    assert loaded.generator.weights.dtype == np.float32


# ---- weights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0])
def test_perturbed_weights_are_never_certified_with_the_old_claims(name: str, size: float) -> None:
    problem, solution = case(name)
    rng = np.random.default_rng(1)
    for _ in range(4):
        direction = rng.standard_normal(np.shape(solution.claim.weights))
        direction /= np.linalg.norm(direction)

        def moved(W: Array, direction: Array = direction) -> Array:
            return W + size * float(np.linalg.norm(W)) * direction

        assert judged(problem, with_weights(solution, moved)) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [0.0, 0.5, 0.99, 0.9999, 1.0001, 1.01, 2.0, -1.0, 1e10, 1e200])
def test_scaled_weights_are_never_certified_unless_nothing_moved(name: str, factor: float) -> None:
    problem, solution = case(name)
    even = problem.wgan.players[0].kind == "quadratic" and not problem.wgan.players[0].skip
    if factor == -1.0 and even:  # −W has the same moments: it is as good
        assert judged(problem, with_weights(solution, lambda W: -W)) is Status.CERTIFIED
        return
    assert judged(problem, with_weights(solution, lambda W: factor * W)) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1e-3, 1e-1])
def test_perturbed_weights_with_a_recomputed_value_are_only_certified_within_tolerance(name: str, size: float) -> None:
    """A forger who also corrects value and bound still has to be within tol of the optimum and of β_d."""
    problem, solution = case(name)
    rng = np.random.default_rng(2)
    for _ in range(3):
        forged = with_weights(solution, lambda W: W + size * float(np.abs(W).max()) * rng.standard_normal(W.shape))
        honest = verify(problem, forged)
        forged = replace(forged, value=honest.upper, bound=honest.lower, certificate=honest)
        certificate = verify(problem, forged)
        if certificate.status is Status.CERTIFIED:
            assert certificate.upper <= solution.value * (1 + 2e-6)
            assert certificate.violation <= 1e-6
        assert not certificate.lower > solution.value * (1 + 1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_never_certified(name: str, bad: float) -> None:
    problem, solution = case(name)

    def broken(W: Array) -> Array:
        W[0, 0] = bad
        return W

    assert judged(problem, with_weights(solution, broken)) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_another_shape_are_never_certified(name: str) -> None:
    problem, solution = case(name)
    for change in (
        lambda W: W.T.copy(),
        lambda W: W[:-1],
        lambda W: W[:, :-1],
        lambda W: np.vstack([W, W[:1]]),
        lambda W: W.ravel(),
        lambda W: W[None],
        lambda W: np.zeros((0, 3)),
    ):
        assert judged(problem, with_weights(solution, change)) is not Status.CERTIFIED
    assert judged(problem, replace(solution, generator=None)) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_lower_precision_are_certified_only_where_they_are_as_good(name: str) -> None:
    """float16 never is; float32 may be within 1e-6 of the optimum and of β_d, and then that is what is certified."""
    problem, solution = case(name)
    assert solution.generator is not None
    for dtype in (np.float16, np.float32):
        narrow = np.asarray(solution.generator.weights).astype(dtype)
        for weights in (narrow, narrow.astype(np.float64)):
            cast = replace(solution, generator=replace(solution.generator, weights=weights))
            certificate = verify(problem, cast)
            if certificate.status is Status.CERTIFIED:
                assert dtype is np.float32
                assert certificate.violation <= 1e-6
                assert certificate.upper == pytest.approx(solution.value, rel=1e-6)
            edited = replace(cast, value=solution.value * (1 + 5e-6))
            assert judged(problem, edited) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_or_swapped_weights_are_never_certified(name: str) -> None:
    problem, solution = case(name)
    _, other = case(name, seed=1)
    assert judged(problem, with_weights(solution, lambda W: W[:, ::-1].copy())) is not Status.CERTIFIED
    assert other.generator is not None
    assert judged(problem, replace(solution, generator=other.generator)) is not Status.CERTIFIED
    assert judged(problem, other) is not Status.CERTIFIED


# ---- dual --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DUAL)
@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.5, 0.999, 1.001, 2.0, 1e6])
def test_scaled_duals_are_never_certified(name: str, factor: float) -> None:
    problem, solution = case(name)
    assert judged(problem, with_dual(solution, v=factor * solution.dual["v"])) is not Status.CERTIFIED


@pytest.mark.parametrize("name", DUAL)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_duals_that_are_not_finite_are_never_certified(name: str, bad: float) -> None:
    problem, solution = case(name)
    for part, array in solution.dual.items():
        broken = np.array(array)
        broken[(0,) * broken.ndim] = bad
        assert judged(problem, with_dual(solution, **{part: broken})) is not Status.CERTIFIED


@pytest.mark.parametrize("name", DUAL)
def test_duals_of_another_shape_are_never_certified(name: str) -> None:
    problem, solution = case(name)
    for part, array in solution.dual.items():
        for broken in (array[..., :-1], array[None], np.concatenate([array, array])):
            assert judged(problem, with_dual(solution, **{part: broken})) is not Status.CERTIFIED
    assert judged(problem, with_dual(solution, u=solution.dual["v"], v=solution.dual["u"])) is not Status.CERTIFIED


@pytest.mark.parametrize("name", DUAL)
def test_duals_of_another_solution_are_never_certified(name: str) -> None:
    problem, solution = case(name)
    _, other = case(name, seed=1)
    assert judged(problem, replace(solution, dual=other.dual)) is not Status.CERTIFIED


@pytest.mark.parametrize("name", DUAL)
@pytest.mark.parametrize("size", [1e-3, 1e-2, 1.0])
def test_perturbed_neurons_are_never_certified(name: str, size: float) -> None:
    problem, solution = case(name)
    rng = np.random.default_rng(3)
    for part in ("u", "v", "skip", "output_multiplier"):
        array = solution.dual.get(part)
        if array is None or array.size == 0:
            continue
        shift = rng.standard_normal(array.shape)
        moved = with_dual(solution, **{part: array + size * np.abs(array).max() * shift})
        assert judged(problem, moved) is not Status.CERTIFIED, part


@pytest.mark.parametrize("name", ["skip × free", "skip × linear", "skip × free, norm bound"])
def test_a_changed_or_missing_skip_is_never_certified(name: str) -> None:
    problem, solution = case(name)
    for skip in (None, 0.0 * solution.dual["skip"], 1.01 * solution.dual["skip"], -solution.dual["skip"]):
        assert judged(problem, with_dual(solution, skip=skip)) is not Status.CERTIFIED


# ---- claims ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [-0.5, -1e-3, -1e-6, 1e-6, 1e-3, 0.5, math.nan, math.inf, -math.inf])
def test_an_edited_value_is_never_certified(name: str, shift: float) -> None:
    problem, solution = case(name)
    assert judged(problem, replace(solution, value=solution.value * (1 + shift))) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [1e-6, 1e-3, 0.5, math.nan, math.inf])
def test_a_raised_bound_is_never_certified(name: str, shift: float) -> None:
    problem, solution = case(name)
    assert judged(problem, replace(solution, bound=solution.bound * (1 + shift))) is not Status.CERTIFIED


@pytest.mark.parametrize("tol", [0.0, -1.0, 0.5, 1.0, 10.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["quadratic × linear", "linear × linear"])
def test_an_edited_tolerance_certifies_nothing(name: str, tol: float) -> None:
    problem, solution = case(name)
    assert judged(problem, replace(solution, tol=tol)) is not Status.CERTIFIED


def test_a_loosened_tolerance_does_not_hide_perturbed_weights() -> None:
    for name in NAMES:
        problem, solution = case(name)
        moved = with_weights(replace(solution, tol=1e-2), lambda W: 1.02 * W + 0.02 * np.abs(W).max())
        assert judged(problem, moved) is not Status.CERTIFIED, name


# ---- another problem ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if "norm bound" not in name and "components" not in name])
@pytest.mark.parametrize("factor", [0.5, 0.999, 1.001, 2.0])
def test_shrinking_or_enlarging_beta_after_the_fact_is_never_certified(name: str, factor: float) -> None:
    problem, solution = case(name)
    discriminator = problem.wgan.players[0]
    other = replace(problem.wgan, discriminator=replace(discriminator, beta=factor * (discriminator.beta or 0.0)))
    changed = Problem(other, problem.X, problem.Z)
    assert judged(changed, solution) is not Status.CERTIFIED
    assert judged(problem, replace(solution, wgan=other)) is not Status.CERTIFIED
    # Even a forger who edits problem and solution alike meets the bounds.
    assert judged(changed, replace(solution, wgan=other)) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_is_never_certified_on_other_data(name: str) -> None:
    problem, solution = case(name)
    wgan, X, Z = problem.wgan, np.asarray(problem.X), problem.Z
    others = [
        Problem(wgan, data(5), Z),
        Problem(wgan, 1.001 * X, Z),
        Problem(wgan, X[:-1], Z, n_fake=len(X) if Z is None else None),
        Problem(wgan, np.vstack([X, np.zeros((1, 3))]), Z, n_fake=len(X) if Z is None else None),
        Problem(wgan, X, Z, normalize="mean"),
    ]
    if Z is not None:
        others += [Problem(wgan, X, 1.001 * Z), Problem(wgan, X, Z[::-1] + 0.1), Problem(wgan, X, Z[:-1])]
    else:
        others += [Problem(wgan, X, n_fake=len(X) + 1)]
    for other in others:
        assert judged(other, solution) is not Status.CERTIFIED


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_is_never_certified_on_data_changed_by_one_bit(name: str) -> None:
    problem, solution = case(name)
    X = np.array(problem.X)
    X[3, 1] = np.nextafter(X[3, 1], 9)
    assert judged(Problem(problem.wgan, X, problem.Z), solution) is not Status.CERTIFIED


@pytest.mark.parametrize("name", ["quadratic × linear", "linear × linear"])
def test_a_solution_is_never_certified_for_another_architecture(name: str) -> None:
    problem, solution = case(name)
    beta = problem.wgan.players[0].beta
    for other in (
        D.linear(beta=beta) + G.linear() + R.output(2.0),
        D.linear(beta=beta) + G.linear() + R.weights(1.0),
        D.quadratic(beta=beta) + G.linear() + R.output(1.1),
        D.quadratic(beta=beta, skip=True) + G.linear(),
        D.quadratic(norm_bound=True) + G.linear(),
        D.polynomial(1.0, 0.1, 0.0, beta=beta) + G.linear(),
    ):
        assert judged(Problem(other, problem.X, problem.Z), solution) is not Status.CERTIFIED
        assert judged(problem, replace(solution, wgan=other)) is not Status.CERTIFIED
        assert judged(Problem(other, problem.X, problem.Z), replace(solution, wgan=other)) is not Status.CERTIFIED


def test_a_sampled_solution_is_never_certified_for_the_population() -> None:
    X, drawn = data(0), Latent.normal(4).draw(30, rng=0)
    wgan = D.quadratic(beta=1.5) + G.linear()
    sampled = Problem(wgan, X, drawn, normalize="mean")
    population = Problem(wgan, X, Latent.normal(4), normalize="mean")
    assert judged(population, population.solve()) is Status.CERTIFIED
    assert judged(population, sampled.solve()) is not Status.CERTIFIED
    assert judged(sampled, population.solve()) is not Status.CERTIFIED


# ---- files -------------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The safetensors header, with our own header in it parsed, and the bytes of the tensors."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["convexwgan"] = json.loads(header["__metadata__"]["convexwgan"])
    return header, content[8 + length :]


def write(path: Path, header: dict[str, Any], tensors: bytes) -> None:
    header = json.loads(json.dumps(header))
    header["__metadata__"]["convexwgan"] = json.dumps(header["__metadata__"]["convexwgan"])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)


def judged_file(problem: Problem, path: Path) -> Status:
    try:
        return judged(problem, Solution.load(path))
    except (FileFormatError, ConvexWGANError):
        return Status.FAILED


def test_a_rewritten_file_is_still_honest(tmp_path: Path) -> None:
    problem, solution = case("quadratic × linear")
    path = solution.save(tmp_path / "solution.safetensors")
    write(path, *read(path))
    assert judged_file(problem, path) is Status.CERTIFIED


EDITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "value": lambda h: h["claims"].update(value=0.9 * h["claims"]["value"]),
    "bound": lambda h: h["claims"].update(bound=1.01 * h["claims"]["bound"]),
    "value nan": lambda h: h["claims"].update(value="nan"),
    "value minus infinity": lambda h: h["claims"].update(value="-inf"),
    "bound infinity": lambda h: h["claims"].update(bound="inf"),
    "tol": lambda h: h["claims"].update(tol=0.9),
    "tol nan": lambda h: h["claims"].update(tol="nan"),
    "no claims": lambda h: h.pop("claims"),
    "beta": lambda h: h["wgan"]["discriminator"].update(beta=29.0),
    "kind": lambda h: h["wgan"]["discriminator"].update(kind="linear"),
    "strength": lambda h: h["wgan"].update(regularizer={"kind": "output", "strength": 0.9}),
    "generator": lambda h: h["wgan"]["generator"].update(kind="free"),
    "unknown kind": lambda h: h["wgan"]["discriminator"].update(kind="cubic"),
    "fingerprint": lambda h: h.update(fingerprint="0" * 64),
    "fingerprint of nothing": lambda h: h.update(fingerprint=""),
    "version": lambda h: h.update(version=2),
    "format": lambda h: h.update(format="other"),
    "content": lambda h: h.update(content="generator"),
    "no generator": lambda h: h.pop("generator"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_header_is_never_certified(edit: str, tmp_path: Path) -> None:
    problem, solution = case("quadratic × linear")
    path = solution.save(tmp_path / "solution.safetensors")
    header, tensors = read(path)
    EDITS[edit](header["__metadata__"]["convexwgan"])
    write(path, header, tensors)
    assert judged_file(problem, path) is not Status.CERTIFIED


def test_an_edited_status_is_only_a_claim(tmp_path: Path) -> None:
    problem, solution = case("quadratic × linear")
    bad = with_weights(solution, lambda W: 1.01 * W)
    path = bad.save(tmp_path / "solution.safetensors")
    header, tensors = read(path)
    header["__metadata__"]["convexwgan"]["claims"]["status"] = "CERTIFIED"
    write(path, header, tensors)
    assert Solution.load(path).status is Status.UNVERIFIED
    assert judged_file(problem, path) is not Status.CERTIFIED


@pytest.mark.parametrize("status", ["INFEASIBLE", "BRACKETED", "UNVERIFIED", "FAILED", "certified", "", None, 3])
def test_a_downgraded_or_unknown_status_changes_no_verdict_or_is_refused(status: Any, tmp_path: Path) -> None:
    problem, solution = case("quadratic × linear")
    path = solution.save(tmp_path / "solution.safetensors")
    header, tensors = read(path)
    header["__metadata__"]["convexwgan"]["claims"]["status"] = status
    write(path, header, tensors)
    assert judged_file(problem, path) is not Status.INFEASIBLE


@pytest.mark.parametrize("name", ["quadratic × linear", "linear × linear", "skip × free"])
def test_every_changed_byte_of_weights_and_duals_is_caught_or_harmless(name: str, tmp_path: Path) -> None:
    """High bytes of a number change it visibly: never certified, but in directions that do not matter (v = 0)."""
    problem, solution = case(name)
    path = solution.save(tmp_path / "solution.safetensors")
    header, tensors = read(path)
    places = [(part, info) for part, info in header.items() if part != "__metadata__"]
    rng = np.random.default_rng(4)
    for part, info in places:
        start, end = info["data_offsets"]
        for number in rng.choice((end - start) // 8, size=min(6, (end - start) // 8), replace=False):
            changed = bytearray(tensors)
            changed[start + 8 * int(number) + 6] ^= 0x10  # an exponent or top mantissa bit
            write(path, header, bytes(changed))
            status = judged_file(problem, path)
            if status is not Status.CERTIFIED:
                continue
            before = np.frombuffer(tensors[start:end])[number]
            after = np.frombuffer(bytes(changed[start:end]))[number]
            largest = np.abs(np.frombuffer(tensors[start:end])).max()
            assert abs(after - before) <= 1e-5 * largest, f"{part}[{number}]: {before} became {after}"


def test_weights_of_another_type_in_the_file_are_not_certified(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    problem, solution = case("quadratic × linear")
    path = solution.save(tmp_path / "solution.safetensors")
    with safe_open(str(path), framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for dtype in (np.float16, np.int64):
        save_file({**tensors, "weights": tensors["weights"].astype(dtype)}, path, metadata=metadata)
        assert judged_file(problem, path) is not Status.CERTIFIED
    save_file({name: t for name, t in tensors.items() if name != "weights"}, path, metadata=metadata)
    assert judged_file(problem, path) is not Status.CERTIFIED


def test_a_file_of_another_problem_is_refused(tmp_path: Path) -> None:
    _, other = case("quadratic × linear", seed=1)
    problem, _ = case("quadratic × linear")
    assert judged_file(problem, other.save(tmp_path / "solution.safetensors")) is not Status.CERTIFIED


def test_saving_over_a_file_replaces_it_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    problem, solution = case("quadratic × linear")
    path = tmp_path / "solution.safetensors"
    path.write_bytes(b"old")
    solution.save(path)
    assert judged_file(problem, path) is Status.CERTIFIED
    assert list(tmp_path.iterdir()) == [path]


# ---- infeasible solutions ----------------------------------------------------------------------------------------

INFEASIBLE: dict[str, Callable[[], Problem]] = {
    "rank of the noise": lambda: Problem(
        D.quadratic(beta=2.0) + G.linear(), np.diag([3.0, 2.0, 1.0]), np.outer(np.arange(1.0, 8.0), [1.0, -2.0])
    ),
    "too few samples": lambda: Problem(D.quadratic(beta=2.0) + G.free(), np.diag([3.0, 2.0, 1.0]), n_fake=1),
    "centred noise": lambda: Problem(D.linear(beta=1.0) + G.linear(), data(0), noise(0) - noise(0).mean(axis=0)),
    "skip and few samples": lambda: Problem(D.quadratic(beta=1.0, skip=True) + G.free(), data(0), n_fake=2),
    "mass gap": lambda: Problem(D.polynomial(1.0, 0.5, 1.0, beta=2.0) + G.free(), data(0), n_fake=4),
    "ray": lambda: Problem(D.polynomial(1.0, 0.5, 0.0, beta=1.0) + G.free(), data(0), n_fake=2),
}
FEASIBLE: dict[str, Callable[[], Problem]] = {
    "rank of the noise": lambda: Problem(D.quadratic(beta=4.5) + G.linear(), np.diag([3.0, 2.0, 1.0]), noise(0)),
    "too few samples": lambda: Problem(D.quadratic(beta=2.0) + G.free(), np.diag([3.0, 2.0, 1.0])),
    "centred noise": lambda: Problem(D.linear(beta=1.0) + G.linear(), data(0), noise(0)),
    "skip and few samples": lambda: Problem(D.quadratic(beta=1.0, skip=True) + G.free(), data(0)),
    "mass gap": lambda: Problem(D.polynomial(1.0, 0.5, 1.0, beta=20.0) + G.free(), data(0), n_fake=19),
    "ray": lambda: Problem(D.polynomial(1.0, 0.5, 0.0, beta=90.0) + G.free(), data(0)),
}


@pytest.mark.parametrize("name", INFEASIBLE)
def test_an_honest_infeasibility_survives_its_file(name: str, tmp_path: Path) -> None:
    problem = INFEASIBLE[name]()
    solution = problem.solve()
    assert solution.status is Status.INFEASIBLE, str(solution.certificate)
    assert judged(problem, solution) is Status.INFEASIBLE
    loaded = Solution.load(solution.save(tmp_path / "solution.safetensors"))
    assert judged(problem, loaded) is Status.INFEASIBLE


@pytest.mark.parametrize("name", INFEASIBLE)
def test_infeasibility_claimed_on_feasible_data_is_caught(name: str) -> None:
    claimed, feasible = INFEASIBLE[name]().solve(), FEASIBLE[name]()
    assert feasible.solve().status is Status.CERTIFIED, str(feasible.solve().certificate)
    for forged in (claimed, replace(claimed, wgan=feasible.wgan, fingerprint=feasible.fingerprint())):
        certificate = verify(feasible, forged)
        assert certificate.status not in (Status.INFEASIBLE, Status.CERTIFIED)
        assert certificate.infeasibility is None


@pytest.mark.parametrize("name", INFEASIBLE)
def test_a_generator_claimed_on_infeasible_data_is_caught(name: str) -> None:
    infeasible, honest = INFEASIBLE[name](), FEASIBLE[name]().solve()
    assert judged(infeasible, honest) is not Status.CERTIFIED
    forged = replace(honest, wgan=infeasible.wgan, fingerprint=infeasible.fingerprint())
    assert judged(infeasible, forged) is not Status.CERTIFIED


def test_a_tampered_ray_proves_nothing() -> None:
    problem = INFEASIBLE["ray"]()
    solution = problem.solve()
    assert solution.certificate.infeasibility is not None
    assert solution.certificate.infeasibility.kind == "ray"
    for v in (-solution.dual["v"], 0.0 * solution.dual["v"], np.full_like(solution.dual["v"], math.nan)):
        assert judged(problem, with_dual(solution, v=v)) is not Status.INFEASIBLE
    random = np.random.default_rng(0).standard_normal(solution.dual["u"].shape)
    assert judged(FEASIBLE["ray"](), with_dual(solution, u=random)) is not Status.INFEASIBLE


# ---- what the certificate says -----------------------------------------------------------------------------------


def test_the_failed_check_names_what_was_changed() -> None:
    problem, solution = case("quadratic × linear")
    for wrong, word in (
        (replace(solution, value=0.9 * solution.value), "value"),
        (replace(solution, bound=1.1 * solution.bound), "bound"),
        (with_dual(solution, v=1.1 * solution.dual["v"]), "discriminator"),
        (case("quadratic × linear", seed=1)[1], "data"),
        (replace(solution, wgan=D.quadratic(beta=31.0) + G.linear()), "architecture"),
    ):
        failed = [check.name for check in verify(problem, wrong).failed_checks]
        assert any(word in name for name in failed), (word, failed)
