"""QR codes as a template draws them."""

from dataclasses import dataclass, field

import segno

QUIET = 4  # modules of white around it, ISO/IEC 18004 section 9.1


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code: the side in modules with its quiet zone, and the dark modules as one SVG path."""

    side: int
    path: str = field(repr=False)


def draw_qr(text: str) -> Qr:
    """The code of a text, with correction level M."""
    rows = segno.make_qr(text, error="m").matrix
    drawn = [
        f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z" for y, row in enumerate(rows) for x, length in _runs(row)
    ]
    return Qr(len(rows) + 2 * QUIET, "".join(drawn))


def _runs(row: bytearray) -> list[tuple[int, int]]:
    """Where dark modules follow each other: the first and how many."""
    found: list[tuple[int, int]] = []
    for x, dark in enumerate(row):
        if not dark:
            continue
        if found and sum(found[-1]) == x:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((x, 1))
    return found
