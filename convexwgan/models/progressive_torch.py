"""The progressive generator as ``torch.nn.Module``: a chain of linear layers that can be trained further."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convexwgan.arrays import Float64

if TYPE_CHECKING:
    import torch

    from convexwgan.models.progressive import ProgressiveGenerator


def progressive_module(generator: ProgressiveGenerator) -> torch.nn.Module:
    """See ``ProgressiveGenerator.to_torch``."""
    import torch

    class Progressive(torch.nn.Module):
        """noise → codes of stage 1 → … → codes of the last stage → pixels."""

        def __init__(self) -> None:
            super().__init__()
            stages = generator.stages
            # √n in the codes and its inverse in the pixels: activations of size 1, as training likes them.
            root = float(np.sqrt(generator.n))
            scales = [root] * len(stages)
            self.codes = torch.nn.ModuleList()
            before = 1.0
            for i, stage in enumerate(stages):
                previous = len(stage.T) - stage.fresh
                T = scales[i] * stage.T.copy()
                T[:previous] /= before
                self.codes.append(_linear(T, scales[i] * stage.shift))
                before = scales[i]
            self.pixels = torch.nn.ModuleList(_linear(s.factor / root, s.mean) for s in stages)
            self.fresh = tuple(stage.fresh for stage in stages)
            self.shapes = tuple(stage.shape for stage in stages)

        def outputs(self, noise: torch.Tensor) -> list[torch.Tensor]:
            """The images of every stage, each (b, channels, height, width)."""
            noise = noise.to(next(self.parameters()).dtype)
            code, used, images = noise[:, :0], 0, []
            layers = zip(self.codes, self.pixels, self.fresh, self.shapes, strict=True)
            for to_code, to_pixels, fresh, (height, width, channels) in layers:
                code = to_code(torch.cat([code, noise[:, used : used + fresh]], dim=1))
                used += fresh
                pixels = to_pixels(code).reshape(-1, height, width, channels)
                images.append(pixels.permute(0, 3, 1, 2))
            return images

        def forward(self, noise: torch.Tensor) -> torch.Tensor:
            return self.outputs(noise)[-1]

    return Progressive()


def _linear(matrix: Float64, bias: Float64) -> torch.nn.Linear:
    """A layer x ↦ x·matrix + bias, in float32."""
    import torch

    layer = torch.nn.Linear(*matrix.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(np.ascontiguousarray(matrix.T)))
        layer.bias.copy_(torch.as_tensor(bias))
    return layer
