"""QR codes as SVG paths."""

from dataclasses import dataclass, field

import segno

QUIET = 4  # light modules around the code, ISO/IEC 18004 section 9.1


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code: the side in modules with the quiet zone, and the dark modules as one SVG path."""

    side: int
    path: str = field(repr=False)


def draw_qr(text: str) -> Qr:
    """Encode a text with correction level M."""
    rows = segno.make_qr(text, error="m").matrix
    segments = [
        f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z" for y, row in enumerate(rows) for x, length in _runs(row)
    ]
    return Qr(len(rows) + 2 * QUIET, "".join(segments))


def _runs(row: bytearray) -> list[tuple[int, int]]:
    """The runs of dark modules: start and length."""
    runs: list[tuple[int, int]] = []
    for x, dark in enumerate(row):
        if not dark:
            continue
        if runs and sum(runs[-1]) == x:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((x, 1))
    return runs
