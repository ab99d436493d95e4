"""What a Problem is given, checked at once: noise, counts, and the fingerprint of the data."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from convexwgan.arrays import Array, as_samples, device_of, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import DrawnNoise, Latent
from convexwgan.spec.validation import count, within_memory
from convexwgan.spec.wgan import WGAN


def read_noise(generator: Generator, X: Array, Z: Any, normalize: str) -> tuple[Array | None, Latent | None]:
    """(Z as an array of X's library or None, the recipe that it comes from or None).

    Raises:
        InputError: noise missing or superfluous, a population under sums, another library or device than X.
    """
    if not generator.needs_noise:
        if Z is not None:
            remedy = "it takes no noise; n_fake= says how many samples it generates"
            raise InputError("Z", Z, f"not be given for {generator!r}", remedy)
        return None, None
    if Z is None:
        raise InputError("Z", None, f"be given for {generator!r}", "draw it: Latent.normal(dim).draw(n, rng=0)")
    if isinstance(Z, Latent):
        if normalize != "mean":
            remedy = 'a population has no sums; set normalize="mean", or draw a sample'
            raise InputError("normalize", normalize, f'be "mean" for population noise {Z!r}', remedy)
        return None, Z
    if isinstance(Z, DrawnNoise):
        return like(X, Z.array), Z.latent
    return _in_same_library(as_samples(Z, "Z"), X), None


def _in_same_library(Z: Array, X: Array) -> Array:
    if namespace(Z) is not namespace(X):
        raise InputError("Z", Z, f"be of the same array library as X ({type(X).__name__})", "convert one of the two")
    if device_of(Z) != device_of(X):
        raise InputError("device of Z", device_of(Z), f"be that of X, {device_of(X)}", "move one of the two")
    return Z


def fake_count(generator: Generator, X: Array, Z: Array | None, n_fake: int | None) -> int:
    """n_f: the rows of Z, or ``n_fake`` (default n_r) for a generator without noise.

    Raises:
        InputError: n_fake given beside noise, or not a whole number >= 1.
    """
    if generator.needs_noise:
        if n_fake is not None:
            remedy = "the rows of Z say how many samples there are"
            raise InputError("n_fake", n_fake, f"not be given for {generator!r}", remedy)
        return int(X.shape[0]) if Z is None else int(Z.shape[0])
    if n_fake is None:
        return int(X.shape[0])
    n = count("n_fake", n_fake, "it is the number of generated samples n_f")
    within_memory("n_fake × d_r", n, int(X.shape[1]))
    return n


def data_fingerprint(X: Array, Z: Array | None, circumstances: str) -> str:
    """SHA-256 of the numbers in X and Z and of what else the game depends on, as hexadecimal text."""
    digest = hashlib.sha256(circumstances.encode())
    for part in (X, Z):
        if part is not None:
            array = np.ascontiguousarray(to_numpy64(part))
            digest.update(f"{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def data_checksum(X: Array, Z: Array | None) -> tuple[float, ...]:
    """Sum and norm of X and Z: cheap, and different after almost any change in place."""
    parts = [part for part in (X, Z) if part is not None]
    return tuple(
        number
        for part in parts
        for number in (float(namespace(part).sum(part)), float(namespace(part).linalg.vector_norm(part)))
    )


def check_equal_masses(wgan: WGAN, n_real: int, n_fake: int, normalize: str) -> None:
    """With biases the sums over different counts are infinitely far apart: the slope n_r − n_f of b → ∞ stays.

    Raises:
        InputError: as said.
    """
    discriminator, generator = wgan.players
    counted = normalize == "sum" and generator.kind != "distribution" and n_real != n_fake
    if discriminator.bias and counted:
        remedy = 'use normalize="mean", which compares averages'
        raise InputError("n_fake", n_fake, f"be n_r = {n_real} for sums of neurons with bias", remedy)
