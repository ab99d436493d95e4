"""Does the closed form help a deep GAN? WGAN-GP training started from ProCoGAN against the same network started cold.

The generator is G(z) = P(z) + f(z): P the linear chain of ``ProCoGAN.to_torch()``, f a three-layer network. Warm: P as
fitted, the last layer of f zero, so that training starts at the certified optimum of the linear game. Cold: the same
network with every layer at torch's own initial weights (and the mean image as the last bias, for a fair start). All
weights are trained in both. The paper suggests such a start (Section 5.2) and shows none.

    python benchmarks/warm_start.py --fashion /usr/share/datasets/fashion-mnist
"""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convexwgan import ProCoGAN
from convexwgan.report.image_features import as_images, edge_features
from convexwgan.report.quality import gaussian_frechet
from convexwgan.report.style import GENERATED, REAL, new_axes, save, tidy

Images = npt.NDArray[Any]


@dataclass(frozen=True)
class Training:
    """WGAN-GP as Gulrajani et al. (2017) run it, with a small critic that in both arms trains alone at first: a critic
    that knows nothing yet would lead any start away."""

    steps: int = 400
    critic_steps: int = 5
    critic_first: int = 200
    batch: int = 64
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.0, 0.9)
    gradient_penalty: float = 10.0
    width: int = 256
    record_every: int = 50


class Generator(nn.Module):
    """G(z) = P(z) + f(z), flattened images."""

    def __init__(self, linear: nn.Module, noise_dim: int, pixels: int, width: int) -> None:
        super().__init__()
        self.linear = linear
        self.deep = nn.Sequential(
            nn.Linear(noise_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, pixels)
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.linear(z), 1) + self.deep(z)


def warm(model: ProCoGAN, training: Training) -> Generator:
    """Starts as the fitted generator."""
    generator = Generator(model.to_torch(), model.generator_.noise_dim, model.mean_image_.size, training.width)
    nn.init.zeros_(generator.deep[-1].weight)
    nn.init.zeros_(generator.deep[-1].bias)
    return generator


def cold(model: ProCoGAN, training: Training) -> Generator:
    """The same network at torch's initial weights; the mean image is given, as data are always centred."""
    generator = Generator(
        copy.deepcopy(model.to_torch()), model.generator_.noise_dim, model.mean_image_.size, training.width
    )
    for layer in generator.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    with torch.no_grad():
        start = generator(torch.zeros(1, model.generator_.noise_dim))[0]
        mean = torch.as_tensor(model.mean_image_.transpose(2, 0, 1).reshape(-1), dtype=torch.float32)
        generator.deep[-1].bias += mean - start
    return generator


def critic_of(pixels: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(pixels, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
    )


def penalty(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """mean (‖∇D(x̂)‖ − 1)²."""
    mix = torch.rand(len(real), 1)
    x = (mix * real + (1.0 - mix) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return ((slope.norm(dim=1) - 1.0) ** 2).mean()


def train(
    generator: Generator, rows: torch.Tensor, real: Images, training: Training, seed: int
) -> list[dict[str, float]]:
    """WGAN-GP; the Fréchet distance of edge features at every record."""
    torch.manual_seed(seed)
    noise_dim = generator.deep[0].in_features
    critic = critic_of(rows.shape[1], training.width)
    rate, betas = training.learning_rate, training.betas
    of_generator = torch.optim.Adam(generator.parameters(), lr=rate, betas=betas)
    of_critic = torch.optim.Adam(critic.parameters(), lr=rate, betas=betas)
    records, start = [record(generator, real, 0, 0.0)], time.perf_counter()
    spent = 0.0
    for step in range(1, training.steps + 1):
        for _ in range(training.critic_first if step == 1 else training.critic_steps):
            chosen = rows[torch.randint(len(rows), (training.batch,))]
            fake = generator(torch.randn(training.batch, noise_dim)).detach()
            loss = critic(fake).mean() - critic(chosen).mean()
            loss = loss + training.gradient_penalty * penalty(critic, chosen, fake)
            of_critic.zero_grad()
            loss.backward()
            of_critic.step()
        loss = -critic(generator(torch.randn(training.batch, noise_dim))).mean()
        of_generator.zero_grad()
        loss.backward()
        of_generator.step()
        if step % training.record_every == 0:
            spent += time.perf_counter() - start
            records.append(record(generator, real, step, spent))
            start = time.perf_counter()
    return records


def record(generator: Generator, real: Images, step: int, seconds: float) -> dict[str, float]:
    """The distance of 2,000 samples of one fixed noise."""
    noise = np.random.default_rng(10_000).standard_normal((2_000, generator.deep[0].in_features))
    with torch.no_grad():
        flat = generator(torch.as_tensor(noise, dtype=torch.float32)).numpy()
    height, width = real.shape[1:3]
    fake = as_images(flat.reshape(len(flat), height, width), "generated")
    distance = gaussian_frechet(edge_features(as_images(real, "real")), edge_features(fake))
    return {"step": step, "seconds": seconds, "frechet": distance}


def first_step_below(records: list[dict[str, float]], level: float) -> float | None:
    """The first recorded step whose distance is at most ``level``."""
    return next((entry["step"] for entry in records if entry["frechet"] <= level), None)


def draw(arms: dict[str, list[list[dict[str, float]]]], path: Path) -> None:
    ax = new_axes(7.0, 4.2)[0]
    for (name, runs), color in zip(arms.items(), (GENERATED, REAL), strict=True):
        for i, records in enumerate(runs):
            steps, distances = [entry["step"] for entry in records], [entry["frechet"] for entry in records]
            ax.plot(
                steps, distances, color=color, label=name if i == 0 else None, marker="o" if name == "warm" else "s"
            )
    ax.set_yscale("log")
    tidy(
        ax, "WGAN-GP from ProCoGAN (warm) and from scratch (cold)", "generator steps", "Fréchet distance, edge features"
    )
    ax.legend()
    save(ax, path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--fashion", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/warm_start"))
    arguments = parser.parse_args()

    with gzip.open(arguments.fashion / "train-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read()[16:], dtype=np.uint8).reshape(-1, 28, 28, 1)[: arguments.images]
    rows = torch.as_tensor(images.reshape(len(images), -1) / np.float32(255.0))
    training = Training(steps=arguments.steps)
    arms: dict[str, list[list[dict[str, float]]]] = {"warm": [], "cold": []}
    fit_seconds = []
    for seed in range(arguments.seeds):
        start = time.perf_counter()
        model = ProCoGAN(random_state=seed).fit(images)
        fit_seconds.append(time.perf_counter() - start)
        torch.manual_seed(seed)
        for name, make in (("warm", warm), ("cold", cold)):
            records = train(make(model, training), rows, images[:5_000], training, seed)
            arms[name].append(records)
            print(name, seed, [round(entry["frechet"], 4) for entry in records], flush=True)
    draw(arms, arguments.out.with_suffix(".png"))
    last = {name: [records[-1]["frechet"] for records in runs] for name, runs in arms.items()}
    result = {
        "training": asdict(training),
        "images": len(images),
        "closed_form_seconds": fit_seconds,
        "closed_form_frechet": [records[0]["frechet"] for records in arms["warm"]],
        "last_frechet": last,
        "ratio_of_last": statistics.fmean(last["cold"]) / statistics.fmean(last["warm"]),
        "steps_of_cold_to_the_warm_start": [
            first_step_below(c, w[0]["frechet"]) for c, w in zip(arms["cold"], arms["warm"], strict=True)
        ],
        "arms": arms,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "command": sys.argv,
    }
    arguments.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
