"""Bar charts as SVG: two bars a group, ours and Apache's, on a scale that begins at zero or is logarithmic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _LABEL, _VALUE, _BAR, _GAP, _TOP = 760, 250, 110, 16, 14, 56
_COLOURS = ("#2f6f9f", "#c9803c")
_FONT = 'font-family="sans-serif" font-size="12"'


@dataclass(frozen=True)
class Bars:
    """Bars that stand together.

    Args:
        label: beside them.
        values: one of each series; None draws none.
    """

    label: str
    values: tuple[float | None, ...]


def chart(title: str, unit: str, series: Sequence[str], groups: Sequence[Bars], *, logarithmic: bool = False) -> str:
    """Draw it.

    Args:
        title: above the bars.
        unit: of all values.
        series: names in the legend, in the order of the values.
        groups: from top to bottom.
        logarithmic: for values that differ by orders of magnitude; bars then begin at a power of ten.
    """
    values = [value for group in groups for value in group.values if value]
    low = 10 ** math.floor(math.log10(min(values))) if logarithmic and values else 0.0
    most = max(values, default=1.0)
    parts = [f'<text x="12" y="22" {_FONT} font-weight="bold">{escape(_titled(title, unit, low))}</text>']
    for at, name in enumerate(series):
        parts.append(f'<rect x="{12 + at * 130}" y="32" width="12" height="12" fill="{_COLOURS[at]}"/>')
        parts.append(f'<text x="{30 + at * 130}" y="43" {_FONT}>{escape(name)}</text>')
    y = _TOP
    for group in groups:
        middle = y + len(group.values) * _BAR / 2 + 4
        parts.append(f'<text x="{_LABEL - 8}" y="{middle:g}" {_FONT} text-anchor="end">{escape(group.label)}</text>')
        for at, value in enumerate(group.values):
            if value is not None:
                parts.append(_bar(y + at * _BAR, _share(value, low, most), value, _COLOURS[at]))
        y += len(group.values) * _BAR + _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}">'
    background = f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>'
    return "\n".join([head, background, *parts, "</svg>", ""])


def _titled(title: str, unit: str, low: float) -> str:
    return f"{title}, {unit}" + (f" (logarithmic, from {low:g})" if low else "")


def _share(value: float, low: float, most: float) -> float:
    """Length of a bar as a share of the longest."""
    if low:
        return math.log(value / low) / math.log(most / low) if most > low else 1.0
    return value / most


def _bar(y: float, share: float, value: float, colour: str) -> str:
    length = max(1.0, share * (_WIDTH - _LABEL - _VALUE))
    return (
        f'<rect x="{_LABEL}" y="{y:g}" width="{length:.1f}" height="{_BAR - 2}" fill="{colour}"/>\n'
        f'<text x="{_LABEL + length + 6:.1f}" y="{y + _BAR - 4:g}" {_FONT}>{_shown(value)}</text>'
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
