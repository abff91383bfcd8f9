"""What every chart is drawn in: colours, legend, axes with grid, and the accessible SVG element."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from burn_tf.report.axis import Axis
from burn_tf.report.svg import FONT_SIZE, clean, element, escaped, fit_text, label, text_width

# The view box is as wide as a phone's column, so that 12 px text is still about 11 px there.
WIDTH = 360.0
RIGHT = 14.0
LINE_HEIGHT = 18.0

# Ten colours per scheme, told apart in hue and lightness on white and on near-black.
LIGHT_COLOURS = (
    "#3566d6", "#d9601a", "#15906a", "#a63fc4", "#a88200",
    "#0f8fae", "#d1365f", "#7a5a40", "#66801f", "#5a6678",
)  # fmt: skip
DARK_COLOURS = (
    "#7ea6ff", "#ff9a57", "#4fd1a1", "#d68bf0", "#e6c04a",
    "#55cbe6", "#ff7d9c", "#c9a588", "#b3cf62", "#a9b4c4",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Chart:
    """A finished chart.

    Args:
        title: heading, plain text.
        svg: one `<svg>` element that stands alone; a page may override its CSS variables.
        note: plain text to stand under the chart, may be empty.
    """

    title: str
    svg: str
    note: str = ""


def colour(index: int) -> str:
    """Returns the CSS colour of series or class number `index`; they repeat after ten."""
    place = index % len(LIGHT_COLOURS)
    return f"var(--series-{place + 1},{LIGHT_COLOURS[place]})"


def svg_document(title: str, description: str, height: float, body: Sequence[str]) -> str:
    """Wraps drawn elements in an SVG that scales with its column and that screen readers name."""
    content = "".join(body)
    identity = hashlib.sha256(f"{clean(title)}{clean(description)}{content}".encode()).hexdigest()
    title_id, desc_id = f"t-{identity[:10]}", f"d-{identity[:10]}"
    head = element("title", escaped(title), id=title_id)
    head += element("desc", escaped(description), id=desc_id)
    return element(
        "svg",
        head + content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{title_id} {desc_id}",
        font_family="system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif",
        font_size=FONT_SIZE,
    )


def legend(names: Sequence[str], swatches: Sequence[str]) -> tuple[str, float]:
    """Lays names out in rows; returns the markup and the height it takes.

    Args:
        names: texts, shortened to the width of the chart.
        swatches: markup of one sign per name, drawn around (0, 0) and at most 16 px wide.
    """
    parts, x, y = [], 0.0, 0.0
    for name, swatch in zip(names, swatches, strict=True):
        text = fit_text(name, WIDTH - 40)
        width = 19 + text_width(text)
        if x > 0 and x + width > WIDTH:
            x, y = 0.0, y + LINE_HEIGHT
        sign = element("g", swatch, transform=f"translate({x + 8:.1f} {y + 9:.1f})")
        parts.append(sign + label(text, x + 19, y + 13, class_="ink"))
        x += width + 10
    return element("g", "".join(parts), class_="legend"), (y + LINE_HEIGHT) if parts else 0.0


@dataclasses.dataclass(frozen=True)
class Plot:
    """The rectangle of a chart with its two axes.

    Args:
        x, y: axes, placed on pixels.
        height: of the whole chart.
    """

    x: Axis
    y: Axis
    height: float

    def inside(self, x: float, y: float) -> tuple[float, float]:
        """Returns the pixels of a point."""
        return self.x.pixel(x), self.y.pixel(y)


def lay_out(x: Axis, y: Axis, *, top: float, plot_height: float, labelled: bool) -> Plot:
    """Places both axes so that no tick label is cut off; `labelled`: the x axis has a name."""
    left = max((text_width(text) for text in y.labels), default=0.0) + 8
    ends = [text_width(text) / 2 for text in x.labels] or [0.0]
    placed_x = x.placed(max(left, ends[0]), WIDTH - max(RIGHT, ends[-1] + 2))
    placed_y = y.placed(top + plot_height, top)
    return Plot(placed_x, placed_y, top + plot_height + (42 if labelled else 24))


def draw_axes(plot: Plot, x_label: str, y_label: str, y_label_at: float) -> str:
    """Draws grid lines, tick labels and the names of both axes (y's lies at pixel `y_label_at`)."""
    parts = []
    grid = "stroke:var(--grid,#e3e7ee)"
    left, right, bottom = plot.x.start, plot.x.end, plot.y.start
    for tick, text in zip(plot.y.ticks, plot.y.labels, strict=True):
        y = plot.y.pixel(tick)
        parts.append(element("line", x1=left, x2=right, y1=y, y2=y, style=grid, class_="grid"))
        parts.append(label(text, left - 6, y + 4, anchor="end", class_="tick-y"))
    for tick, text in zip(plot.x.ticks, plot.x.labels, strict=True):
        x = plot.x.pixel(tick)
        parts.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, style=grid))
        parts.append(label(text, x, bottom + 17, anchor="middle", class_="tick-x"))
    axis = "stroke:var(--axis,#9aa3b2)"
    parts.append(element("line", x1=left, x2=right, y1=bottom, y2=bottom, style=axis))
    if x_label:
        text = fit_text(x_label, right - left)
        parts.append(label(text, (left + right) / 2, bottom + 35, anchor="middle"))
    if y_label:
        parts.append(label(fit_text(y_label, right), 0.0, y_label_at))
    return "".join(parts)


def empty_chart(title: str, note: str = "") -> Chart:
    """A chart that says it has nothing to show."""
    text = label("No data", WIDTH / 2, 44.0, anchor="middle")
    return Chart(title, svg_document(title, "No data to show.", 80.0, [text]), note)
