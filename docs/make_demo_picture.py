"""Draw docs/demo.png: a street sign of several lines and, below it, a slanted board. Run it with `ocrdeploy[fonts]` installed."""

# ruff: noqa: INP001  # a script, in no package

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from ocrdeploy import fonts

WIDTH, HEIGHT = 960, 640
SCALE = 3  # Everything is drawn larger and made smaller at the end, so that all edges are smooth.

BLUE, WHITE, CREAM, INK = (18, 68, 140), (250, 250, 248), (248, 236, 208), (66, 38, 22)
STEEL, STEEL_LIGHT = (96, 102, 110), (150, 156, 164)


def main() -> None:
    """Write the picture next to this file."""
    canvas = street()
    draw = ImageDraw.Draw(canvas)
    for left, right, colour in ((462, 498, STEEL), (468, 476, STEEL_LIGHT)):
        draw.rectangle(box(left, 0, right, HEIGHT), fill=colour)
    place(canvas, street_sign(), centre=(480, 218), degrees=0)
    place(canvas, board(), centre=(480, 522), degrees=9)
    picture = canvas.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    picture.save(Path(__file__).with_name("demo.png"), optimize=True)


def street() -> Image.Image:
    """Return a sky above a blurred row of houses."""
    sky = Image.linear_gradient("L").resize((WIDTH * SCALE, HEIGHT * SCALE))
    canvas = Image.composite(Image.new("RGB", sky.size, (236, 226, 208)), Image.new("RGB", sky.size, (132, 176, 214)), sky)
    draw = ImageDraw.Draw(canvas)
    houses = ((0, 190, 330), (180, 150, 260), (320, 240, 360), (550, 200, 300), (740, 240, 230))
    for index, (left, width, top) in enumerate(houses):
        shade = 150 + 17 * (index * 3 % 5)
        draw.rectangle(box(left, top, left + width, HEIGHT), fill=(shade, shade - 14, shade - 34))
        for x in range(left + 22, left + width - 30, 52):
            for y in range(top + 30, 560, 74):
                draw.rectangle(box(x, y, x + 26, y + 42), fill=(92, 104, 118))
    draw.rectangle(box(0, 590, WIDTH, HEIGHT), fill=(120, 116, 112))
    # Even values alone are not seen, and make the file smaller.
    return canvas.filter(ImageFilter.GaussianBlur(7 * SCALE)).point(lambda value: value & ~1)


def street_sign() -> Image.Image:
    """Return the blue sign: the street's name in Chinese and English, and two ways to go."""
    sign = plate(720, 364, BLUE, WHITE)
    write(sign, "河滨路", (360, 72), 84, WHITE)
    write(sign, "RIVER STREET", (360, 164), 74, WHITE, bold=2)
    ImageDraw.Draw(sign).line(box(44, 218, 676, 218), fill=WHITE, width=2 * SCALE)
    write(sign, "City Museum 350 m", (400, 258), 42, WHITE)
    write(sign, "Old Harbour 1.2 km", (320, 314), 42, WHITE)
    arrow(sign, 150, 260, -1)
    arrow(sign, 574, 316, 1)
    return sign


def board() -> Image.Image:
    """Return the board of a café."""
    sign = plate(430, 144, CREAM, INK)
    write(sign, "FRESH COFFEE", (215, 50), 50, INK, bold=1)
    write(sign, "open daily 8-18", (215, 101), 34, INK)
    return sign


def plate(width: int, height: int, colour: tuple[int, int, int], edge: tuple[int, int, int]) -> Image.Image:
    """Return a board with round corners and a line along its edge; transparent around it."""
    sign = Image.new("RGBA", (width * SCALE, height * SCALE))
    draw = ImageDraw.Draw(sign)
    draw.rounded_rectangle(box(0, 0, width - 1, height - 1), 24 * SCALE, fill=colour)
    draw.rounded_rectangle(box(9, 9, width - 10, height - 10), 17 * SCALE, outline=edge, width=4 * SCALE)
    return sign


def write(
    sign: Image.Image, text: str, middle: tuple[int, int], size: int, colour: tuple[int, int, int], *, bold: int = 0
) -> None:
    """Write a line around its middle."""
    font = fonts.load(fonts.font_for(text), size * SCALE)
    x, y = middle
    ImageDraw.Draw(sign).text(
        (x * SCALE, y * SCALE), text, colour, font, anchor="mm", stroke_width=bold * SCALE, stroke_fill=colour
    )


def arrow(sign: Image.Image, x: int, y: int, direction: int) -> None:
    """Draw an arrow with its middle at (x, y), to the left (-1) or to the right (1)."""
    draw = ImageDraw.Draw(sign)
    shaft, head, tip = x - 34 * direction, x + 10 * direction, x + 36 * direction
    draw.line(box(shaft, y, head, y), fill=WHITE, width=10 * SCALE)
    draw.polygon(box(head, y - 19) + box(tip, y) + box(head, y + 19), fill=WHITE)


def place(canvas: Image.Image, sign: Image.Image, *, centre: tuple[int, int], degrees: float) -> None:
    """Hang a sign over the canvas, turned counterclockwise, with a soft shadow."""
    turned = sign.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    left, top = (middle * SCALE - side // 2 for middle, side in zip(centre, turned.size, strict=True))
    shadow = Image.new("L", canvas.size)
    shadow.paste(110, (left + 6 * SCALE, top + 10 * SCALE), turned.getchannel("A"))
    canvas.paste((20, 24, 30), (0, 0), shadow.filter(ImageFilter.GaussianBlur(8 * SCALE)))
    canvas.paste(turned, (left, top), turned)


def box(*coordinates: int) -> tuple[int, ...]:
    """Return coordinates of the picture as those of the canvas."""
    return tuple(coordinate * SCALE for coordinate in coordinates)


if __name__ == "__main__":
    main()
