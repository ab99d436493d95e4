"""Draws docs/figures/faces.png: real faces beside those of a certified generator, as the demo does, in fewer bytes.

Run it from the root of the repository: python docs/figures/faces.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from convexwgan.report import gallery

FOLDER = Path(__file__).parent
SHADES = 32


def main() -> None:
    gallery.draw_faces(gallery.fit(gallery.faces_instance()), FOLDER)
    path = FOLDER / "faces.png"
    with Image.open(path) as image:
        fewer = image.convert("RGB").quantize(SHADES, dither=Image.Dither.NONE)
    fewer.save(path, optimize=True)


if __name__ == "__main__":
    main()
