"""The commands ``images fit | sample | walk | evaluate``: names and options; what they do is in ``cli/images.py``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from convexwgan.cli.exits import exits
from convexwgan.cli.output import Output

images_app = typer.Typer(
    name="images", no_args_is_help=True, help="A folder of images in, a certified progressive generator out."
)


class OnCorrupt(StrEnum):
    """What a corrupt file does."""

    RAISE = "raise"
    SKIP = "skip"


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of JPEG and PNG files.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model.safetensors written by images fit.")]
Seed = Annotated[int, typer.Option(help="Behind everything random.")]
Crop = Annotated[bool, typer.Option("--crop/--squeeze", help="Cut the centre before resizing, or squeeze.")]
Recursive = Annotated[bool, typer.Option("--recursive", help="Descend into subfolders.")]
OnError = Annotated[OnCorrupt, typer.Option(help="raise: a corrupt file ends the command; skip: left out, counted.")]
Limit = Annotated[int | None, typer.Option(help="Read only so many files, the first ones by name.")]
Workers = Annotated[int | None, typer.Option(help="Decoding threads.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else there.")]


@images_app.command()
def fit(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The model file to write.")] = Path("model.safetensors"),
    size: Annotated[int | None, typer.Option(help="Side of the images; default: their own, if all agree.")] = None,
    resolutions: Annotated[str | None, typer.Option(help="Sides of the stages, as 4,8,16,32,64.")] = None,
    components: Annotated[str | None, typer.Option(help="Components of the stages, as 20,30,40,100,175.")] = None,
    betas: Annotated[str | None, typer.Option(help="β_d of the stages instead, as 206,1.6e3,5.9e3.")] = None,
    latent_dim: Annotated[int, typer.Option(help="Columns of noise of the first stage.")] = 48,
    skip: Annotated[bool, typer.Option("--skip", help="A discriminator with a linear skip connection.")] = False,
    color: Annotated[bool, typer.Option("--color/--grey", help="RGB or grey images.")] = True,
    crop: Crop = True,
    recursive: Recursive = False,
    on_error: OnError = OnCorrupt.RAISE,
    limit: Limit = None,
    workers: Workers = None,
    cache: Annotated[Path | None, typer.Option(help="A .npy file for the pixels, where memory is short.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Folder of finished stages, to go on from.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a progressive generator to a folder of images; every stage is certified."""
    from convexwgan.cli.images import numbers_of, run_fit

    output = Output(as_json)
    with exits(output):
        sides = numbers_of("--resolutions", resolutions, int)
        reading = {
            "size": size if size is not None or sides is None else sides[-1],
            "crop": crop,
            "color": color,
            "recursive": recursive,
            "on_error": on_error.value,
            "limit": limit,
            "cache": cache,
            "workers": workers,
        }
        fitting = {
            "resolutions": sides,
            "components": numbers_of("--components", components, int),
            "betas": numbers_of("--betas", betas, float),
            "latent_dim": latent_dim,
            "skip": skip,
            "checkpoint": checkpoint,
            "random_state": seed,
        }
        code = run_fit(output, folder, out, reading, fitting)
    raise typer.Exit(code)


@images_app.command()
def sample(
    model: Model,
    out: Annotated[Path, typer.Option(help="A .png grid, or .npy.")] = Path("grid.png"),
    n: Annotated[int, typer.Option("--n", help="How many.")] = 64,
    columns: Annotated[int | None, typer.Option(help="Tiles in a row.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fresh images."""
    from convexwgan.cli.images import run_sample

    output = Output(as_json)
    with exits(output):
        code = run_sample(output, model, out, n, seed, columns)
    raise typer.Exit(code)


@images_app.command()
def walk(
    model: Model,
    out: Annotated[Path, typer.Option(help="A .png grid, or .npy.")] = Path("walk.png"),
    components: Annotated[int, typer.Option(help="Rows: the first components by size.")] = 8,
    steps: Annotated[int, typer.Option(help="Images a row.")] = 7,
    span: Annotated[float, typer.Option(help="Standard deviations to either side.")] = 3.0,
    as_json: Json = False,
) -> None:
    """What each component does to the mean image."""
    from convexwgan.cli.images import run_walk

    output = Output(as_json)
    with exits(output):
        code = run_walk(output, model, out, components, steps, span)
    raise typer.Exit(code)


@images_app.command()
def evaluate(
    model: Model,
    folder: Folder,
    n: Annotated[int, typer.Option("--n", help="Generated images.")] = 1000,
    k: Annotated[int, typer.Option("--k", help="Neighbours of precision and recall.")] = 3,
    inception: Annotated[
        Path | None, typer.Option(help="Weights of the Inception network: the distance is then the FID.")
    ] = None,
    crop: Crop = True,
    recursive: Recursive = False,
    on_error: OnError = OnCorrupt.RAISE,
    limit: Limit = None,
    workers: Workers = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fréchet distance, precision, recall and memorisation against the images of a folder."""
    from convexwgan.cli.images import run_evaluate

    output = Output(as_json)
    reading = {
        "crop": crop,
        "recursive": recursive,
        "on_error": on_error.value,
        "limit": limit,
        "workers": workers,
    }
    with exits(output):
        code = run_evaluate(output, model, folder, n, seed, k, inception, reading)
    raise typer.Exit(code)
