"""Files: what a solution or a generator holds goes round, a fault leaves the old file, foreign files are refused."""

from __future__ import annotations

import errno
import json
import os
import pickle
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from convexwgan import (
    Discriminator,
    FittedGenerator,
    Generator,
    Latent,
    Problem,
    Regularizer,
    Solution,
    Status,
    verify,
)
from convexwgan.arrays import to_numpy64
from convexwgan.errors import ConvexWGANError, FileFormatError, InputError

X = np.random.default_rng(1).standard_normal((12, 3)) * [3.0, 2.0, 1.0] + 0.2
DRAWN = Latent.normal(4).draw(10, rng=2)


def squares(W: Any) -> Any:
    import cvxpy as cp

    return 0.35 * cp.sum_squares(W)  # type: ignore[attr-defined]


CUSTOM = Regularizer.custom(
    squares, "weights", value=lambda W: 0.35 * float(np.sum(W**2)), conjugate=lambda Y: float(np.sum(Y**2)) / 1.4
)

PROBLEMS = {
    "free": Problem(Discriminator.quadratic(beta=5.0) + Generator.free(), X, n_fake=7),
    "linear": Problem(Discriminator.quadratic(beta=5.0) + Generator.linear(), X, DRAWN),
    "unknown noise": Problem(Discriminator.quadratic(beta=5.0) + Generator.linear(), X, DRAWN.array),
    "weights": Problem(Discriminator.quadratic(beta=5.0) + Generator.linear() + Regularizer.weights(2.0), X, DRAWN),
    "components": Problem(Discriminator.quadratic(components=2) + Generator.linear(), X, DRAWN),
    "polynomial": Problem(Discriminator.quadratic(beta=5.0) + Generator.polynomial(1, 0.5, 0.1), X, DRAWN),
    "skip": Problem(Discriminator.quadratic(beta=5.0, skip=True) + Generator.linear(), X, DRAWN),
    "norm bound": Problem(Discriminator.quadratic(norm_bound=True) + Generator.linear(), X, DRAWN, normalize="mean"),
    "population": Problem(
        Discriminator.quadratic(beta=1.0) + Generator.linear(), X, Latent.normal(4), normalize="mean"
    ),
    "norm": Problem(Discriminator.linear(beta=1.0) + Generator.linear() + Regularizer.norm(np.inf, 0.5), X, DRAWN),
    "joint": Problem(Discriminator.polynomial(1, 0.5, 0, beta=9.0) + Generator.linear(), X, DRAWN),
    "float32": Problem(Discriminator.quadratic(beta=5.0) + Generator.linear(), X.astype(np.float32), DRAWN),
    "custom": Problem(Discriminator.linear(beta=1.0) + Generator.linear() + CUSTOM, X, DRAWN),
    "infeasible": Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), X, n_fake=1),
    "infeasible skip": Problem(Discriminator.quadratic(beta=1.0, skip=True) + Generator.free(), X, n_fake=2),
}
_SOLVED: dict[str, Solution] = {}


def solved(name: str) -> Solution:
    if name not in _SOLVED:
        _SOLVED[name] = PROBLEMS[name].solve()
    return _SOLVED[name]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "solution.safetensors"


def header(path: Path) -> dict[str, Any]:
    with safe_open(str(path), framework="numpy") as file:
        return dict(json.loads(file.metadata()["convexwgan"]))


# ---- round trips -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_solution_goes_round_and_is_unverified_until_it_is_verified(name: str, path: Path) -> None:
    problem, solution = PROBLEMS[name], solved(name)
    assert solution.status is (Status.INFEASIBLE if "infeasible" in name else Status.CERTIFIED)
    assert solution.save(path) == path
    loaded = Solution.load(path)
    assert loaded.status is Status.UNVERIFIED
    assert (loaded.value, loaded.bound, loaded.tol) == (solution.value, solution.bound, solution.tol)
    assert loaded.normalize == solution.normalize
    assert loaded.fingerprint == solution.fingerprint == problem.fingerprint()
    assert loaded.stats.extra["claimed_status"] == solution.status.name
    assert loaded.stats.method == solution.stats.method
    certificate = verify(problem, loaded)
    assert certificate.status is solution.status, str(certificate)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "custom"])
def test_the_architecture_goes_round(name: str, path: Path) -> None:
    solved(name).save(path)
    assert Solution.load(path).wgan == solved(name).wgan


@pytest.mark.parametrize("name", PROBLEMS)
def test_primal_and_dual_arrays_go_round_bit_by_bit(name: str, path: Path) -> None:
    solution = solved(name)
    solution.save(path)
    loaded = Solution.load(path)
    assert set(loaded.dual) == set(solution.dual)
    for part, array in solution.dual.items():
        np.testing.assert_array_equal(loaded.dual[part], array)
    assert (loaded.generator is None) == (solution.generator is None)
    assert (loaded.discriminator is None) == (solution.discriminator is None)
    if solution.generator is not None:
        assert loaded.generator is not None
        assert loaded.generator.weights.dtype == solution.generator.weights.dtype
        np.testing.assert_array_equal(loaded.generator.weights, solution.generator.weights)
    if solution.discriminator is not None:
        assert loaded.discriminator is not None
        np.testing.assert_array_equal(loaded.discriminator(X), solution.discriminator(X))


@pytest.mark.parametrize("name", ["free", "linear", "polynomial", "population", "float32", "components"])
def test_a_loaded_generator_samples_what_the_saved_one_samples(name: str, path: Path) -> None:
    generator = solved(name).generator
    assert generator is not None
    assert generator.save(path) == path
    loaded = FittedGenerator.load(path)
    assert loaded.spec == generator.spec
    assert (loaded.latent, loaded.normalize, loaded.columns) == (
        generator.latent,
        generator.normalize,
        generator.columns,
    )
    np.testing.assert_array_equal(loaded.sample(5, rng=0), generator.sample(5, rng=0))


def test_a_generator_can_be_read_from_the_file_of_its_solution(path: Path) -> None:
    solution = solved("linear")
    solution.save(path)
    assert solution.generator is not None
    np.testing.assert_array_equal(FittedGenerator.load(path).weights, solution.generator.weights)


def test_a_loaded_generator_of_unknown_noise_still_asks_for_its_latent(path: Path) -> None:
    solved("unknown noise").save(path)
    with pytest.raises(InputError, match="latent of sample"):
        FittedGenerator.load(path).sample(3, rng=0)


def test_population_moments_survive_and_sampled_output_needs_its_noise(path: Path) -> None:
    generator = solved("population").generator
    assert generator is not None
    generator.save(path)
    np.testing.assert_array_equal(FittedGenerator.load(path).moments.second, generator.moments.second)
    solved("linear").save(path)
    with pytest.raises(InputError, match="output of the generator"):
        _ = FittedGenerator.load(path).output


def test_column_names_go_round(path: Path) -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(X, columns=["größe", "weight", "age"])
    generator = Problem(Discriminator.quadratic(beta=5.0) + Generator.free(), table).solve().generator
    assert generator is not None
    generator.save(path)
    assert list(FittedGenerator.load(path).sample(2, rng=0).columns) == ["größe", "weight", "age"]


def test_solutions_of_each_array_library_are_saved_and_load_as_numpy(array_library: Any, path: Path) -> None:
    wgan = Discriminator.quadratic(beta=5.0) + Generator.linear()
    problem = Problem(wgan, array_library.asarray(X), array_library.asarray(DRAWN.array))
    solution = problem.solve()
    solution.save(path)
    loaded = Solution.load(path)
    assert solution.generator is not None
    assert loaded.generator is not None
    assert isinstance(loaded.generator.weights, np.ndarray)
    np.testing.assert_array_equal(loaded.generator.weights, to_numpy64(solution.generator.weights))
    assert verify(problem, loaded).status is Status.CERTIFIED


def test_an_infeasible_solution_holds_no_generator_and_says_so(path: Path) -> None:
    solved("infeasible").save(path)
    loaded = Solution.load(path)
    assert loaded.value == loaded.bound == np.inf
    with pytest.raises(FileFormatError, match="holds no generator"):
        FittedGenerator.load(path)


def test_the_function_of_a_custom_regulariser_is_not_saved_and_says_so(path: Path) -> None:
    solved("custom").save(path)
    regularizer = Solution.load(path).wgan.regularizer
    assert (regularizer.kind, regularizer.of) == ("custom", "weights")
    assert regularizer.function is not None
    with pytest.raises(InputError, match="custom functions are not saved"):
        regularizer.function(np.zeros((4, 3)))


def test_saving_a_loaded_solution_keeps_its_arrays_and_numbers(path: Path, tmp_path: Path) -> None:
    solution = solved("skip")
    solution.save(path)
    again = Solution.load(path).save(tmp_path / "again.safetensors")
    twice = Solution.load(again)
    assert (twice.value, twice.bound, twice.fingerprint) == (solution.value, solution.bound, solution.fingerprint)
    for name, array in solution.dual.items():
        np.testing.assert_array_equal(twice.dual[name], array)


def test_the_file_names_format_version_data_and_claims(path: Path) -> None:
    solved("linear").save(path)
    found = header(path)
    assert (found["format"], found["version"], found["content"]) == ("convexwgan", 1, "solution")
    assert found["claims"]["status"] == "CERTIFIED"
    assert found["fingerprint"] == PROBLEMS["linear"].fingerprint()


# ---- a wrong file is caught ------------------------------------------------------------------------------------


def edit(path: Path, **changes: Any) -> None:
    """Rewrite the header of a file, arrays untouched."""
    with safe_open(str(path), framework="numpy") as file:
        text = json.loads(file.metadata()["convexwgan"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, str(path), metadata={"convexwgan": json.dumps({**text, **changes})})


def test_an_edited_tolerance_is_refused_or_never_loosens_the_verdict(path: Path) -> None:
    solution = solved("linear")
    solution.save(path)
    claims = {"status": solution.status.name, "value": solution.value, "bound": solution.bound}
    edit(path, claims={**claims, "tol": 0.5})
    with pytest.raises(FileFormatError, match="tolerance"):
        Solution.load(path)
    edit(path, claims={**claims, "tol": 1e-2})
    assert Solution.load(path).tol == 1e-6


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "free"},
        {"kind": "polynomial", "coefficients": [0, 5, 1]},
        {"latent": {"kind": "normal", "dim": 77}},
        {"normalize": "mean"},
        {"normalize": "banana"},
        {"columns": ["one"]},
        {"columns": "text"},
    ],
    ids=repr,
)
def test_a_generator_that_is_not_the_one_of_the_solution_is_refused(changes: dict[str, Any], path: Path) -> None:
    solved("linear").save(path)
    with safe_open(str(path), framework="numpy") as file:
        header = json.loads(file.metadata()["convexwgan"])
    edit(path, generator={**header["generator"], **changes})
    with pytest.raises(FileFormatError):
        Solution.load(path)


def test_other_data_are_recognised(path: Path) -> None:
    solved("linear").save(path)
    other = Problem(PROBLEMS["linear"].wgan, X + 1e-12, DRAWN)
    certificate = verify(other, Solution.load(path))
    assert certificate.status is not Status.CERTIFIED
    assert "the data are the problem's" in [check.name for check in certificate.failed_checks]


@pytest.mark.parametrize("claim", [{"value": 1.0}, {"bound": 1e9}])
def test_edited_claims_are_not_certified(claim: dict[str, Any], path: Path) -> None:
    solved("linear").save(path)
    edit(path, claims={**header(path)["claims"], **claim})
    assert verify(PROBLEMS["linear"], Solution.load(path)).status is not Status.CERTIFIED


def test_edited_weights_are_not_certified(path: Path) -> None:
    solved("linear").save(path)
    with safe_open(str(path), framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["weights"] = tensors["weights"] * 1.001
    save_file(tensors, str(path), metadata=metadata)
    assert verify(PROBLEMS["linear"], Solution.load(path)).status is not Status.CERTIFIED


def test_a_beta_d_shrunk_after_the_fact_is_not_certified(path: Path) -> None:
    solved("linear").save(path)
    wgan = header(path)["wgan"]
    edit(path, wgan={**wgan, "discriminator": {**wgan["discriminator"], "beta": 4.9}})
    assert verify(PROBLEMS["linear"], Solution.load(path)).status is not Status.CERTIFIED


# ---- replaced at once or not at all ----------------------------------------------------------------------------


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize(("fault", "error"), [(full_disk, OSError), (interrupt, KeyboardInterrupt)])
def test_a_fault_while_saving_leaves_the_old_file_and_nothing_else(
    step: str, fault: Any, error: type[BaseException], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solved("linear").save(path)
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, step, fault)
        with pytest.raises(error):
            solved("skip").save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    solved("skip").save(path)
    assert Solution.load(path).wgan == solved("skip").wgan
    assert os.listdir(path.parent) == [path.name]


def test_a_fault_while_saving_for_the_first_time_leaves_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        solved("linear").save(path)
    assert os.listdir(path.parent) == []


def test_a_reader_of_the_old_file_keeps_reading_the_old_file(path: Path) -> None:
    solved("linear").save(path)
    before = path.read_bytes()
    with path.open("rb") as reader:
        solved("skip").save(path)
        assert reader.read() == before
    assert path.read_bytes() != before


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_saved_file_has_the_permissions_of_any_new_file(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    solved("linear").save(path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


# ---- refused ---------------------------------------------------------------------------------------------------

LOADERS = [Solution.load, FittedGenerator.load]


@pytest.mark.parametrize("load", LOADERS)
def test_a_missing_file_and_a_folder_are_refused(load: Any, tmp_path: Path) -> None:
    for place in (tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(InputError, match=r"must be an existing file: give the .* file that save"):
            load(place)


def test_saving_into_a_missing_folder_or_over_a_folder_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path / "missing" / "solution.safetensors", tmp_path):
        with pytest.raises(InputError, match="must be a file in an existing folder: make the folder first"):
            solved("linear").save(place)
    assert os.listdir(tmp_path) == []


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


def foreign(kind: str) -> bytes:
    return {
        "empty": b"",
        "text": b"value = 1.0\n",
        "pickle": pickle.dumps(Bomb()),
        "numpy": b"\x93NUMPY\x01\x00" + bytes(118),
        "huge header": (2**62).to_bytes(8, "little") + b"{}",
        "zeros": bytes(64),
    }[kind]


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("kind", ["empty", "text", "pickle", "numpy", "huge header", "zeros"])
def test_files_that_are_not_ours_are_refused_and_never_executed(
    kind: str, load: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    path.write_bytes(foreign(kind))
    with pytest.raises(FileFormatError, match=r"is not a safetensors file|was not written by convexwgan"):
        load(path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"convexwgan": "{"}, {"convexwgan": "[1]"}])
def test_safetensors_of_others_are_refused(metadata: dict[str, str] | None, load: Any, path: Path) -> None:
    save_file({"weights": np.zeros((2, 2))}, str(path), metadata=metadata)
    with pytest.raises(FileFormatError, match="was not written by convexwgan"):
        load(path)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(keep: float, path: Path) -> None:
    solved("linear").save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(FileFormatError):
        Solution.load(path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version_is_refused_by_its_number(version: Any, path: Path) -> None:
    solved("linear").save(path)
    edit(path, version=version)
    with pytest.raises(FileFormatError, match=f"has format version {version!r}; this convexwgan reads version 1"):
        Solution.load(path)


def test_a_generator_file_is_no_solution(path: Path) -> None:
    generator = solved("linear").generator
    assert generator is not None
    generator.save(path)
    with pytest.raises(FileFormatError, match="holds a generator, not a solution"):
        Solution.load(path)


BROKEN: list[dict[str, Any]] = [
    {"wgan": None},
    {"wgan": {"discriminator": {"kind": "cubic"}, "generator": {"kind": "linear"}}},
    {"wgan": {"discriminator": {"kind": "quadratic", "beta": -1.0}, "generator": {"kind": "linear"}}},
    {"claims": {}},
    {"claims": {"status": "SPLENDID", "value": 1.0, "bound": 1.0, "tol": 1e-6}},
    {"claims": {"status": "CERTIFIED", "value": None, "bound": 1.0, "tol": 1e-6}},
    {"claims": [1, 2]},
    {"generator": {}},
    {"generator": None},
    {"generator": {"kind": "linear", "coefficients": 3, "latent": None, "normalize": "sum", "columns": None}},
    {"generator": {"kind": "cubic", "coefficients": None, "latent": None, "normalize": "sum", "columns": None}},
    {
        "generator": {
            "kind": "linear",
            "coefficients": None,
            "latent": {"kind": "normal", "dim": -1},
            "normalize": "sum",
            "columns": None,
        }
    },
    {"content": ""},
    {"content": 5},
]


@pytest.mark.parametrize("changes", BROKEN, ids=repr)
def test_a_garbled_header_is_one_error_of_ours(changes: dict[str, Any], path: Path) -> None:
    solved("linear").save(path)
    edit(path, **changes)
    with pytest.raises(FileFormatError):
        Solution.load(path)


@pytest.mark.parametrize("key", ["wgan", "claims", "normalize", "fingerprint", "method", "has_discriminator"])
def test_a_header_that_lacks_a_part_is_one_error_of_ours(key: str, path: Path) -> None:
    solved("linear").save(path)
    with safe_open(str(path), framework="numpy") as file:
        text = json.loads(file.metadata()["convexwgan"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del text[key]
    save_file(tensors, str(path), metadata={"convexwgan": json.dumps(text)})
    with pytest.raises(FileFormatError, match=f"is damaged: its header lacks or garbles '{key}'"):
        Solution.load(path)


@pytest.mark.parametrize("weights", [np.zeros(3), np.full((4, 3), np.nan), np.zeros((4, 3), dtype=np.int64)])
def test_weights_that_are_no_finite_matrix_are_refused(weights: np.ndarray, path: Path) -> None:
    solved("linear").save(path)
    with safe_open(str(path), framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file({**tensors, "weights": weights}, str(path), metadata=metadata)
    for load in LOADERS:
        with pytest.raises(FileFormatError, match="not a finite float matrix"):
            load(path)


def test_every_refusal_is_an_error_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(ConvexWGANError):
        Solution.load(tmp_path / "nothing")
