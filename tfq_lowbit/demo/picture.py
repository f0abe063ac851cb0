"""The demo's picture: accuracy against file size."""

import io

from tfq_lowbit.export import write_whole

DOTS_PER_INCH = 150
MARGIN_PIXELS = 4
# Places for a label, in points from its point: beside it first, then farther and farther away.
OFFSETS = [
    (x * distance, y * distance)
    for distance in (10, 18, 28, 40, 54)
    for x, y in ((1, 0), (1, 0.8), (1, -0.8), (-1, 0), (-1, 0.8), (-1, -0.8), (0, 1), (0, -1))
]


def draw_picture(results, path, say=print) -> bool:
    """Draw accuracy in LiteRT against file size, one point a model.

    Args:
        results: the demo's `Results`; a row "float" and a row "LSQ W8A8" become references.
        path: where to write the PNG.
        say: takes a line of text if there is no matplotlib.

    Returns:
        Whether the picture was drawn.

    Example:
        >>> draw_picture(results, "accuracy_vs_size.png")  # doctest: +SKIP
        True
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        say("No picture: matplotlib is not installed (pip install 'tfq_lowbit[report]').")
        return False
    figure = Figure(figsize=(8, 5), dpi=DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    styles = {"float": ("s", "0.35"), "LSQ": ("o", "tab:blue"), "PACT": ("^", "tab:orange")}
    points = []
    for row in results.rows:
        marker, color = styles.get(row.scheme.partition(" ")[0], ("D", "tab:green"))
        point = row.num_bytes / 1000, 100 * row.litert_accuracy
        axes.plot(*point, marker, color=color, markersize=8)
        points.append((row.scheme, point, color))
        if row.scheme in ("float", "LSQ W8A8"):
            axes.axhline(point[1], color=color, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_xlabel("size of the .tflite file in kB")
    axes.set_ylabel(f"accuracy in LiteRT in %, {results.num_test:,} test images")
    axes.set_title(
        f"Accuracy against size\n{results.source}, epochs: {results.epochs}", fontsize=11
    )
    axes.set_xlim(left=0, right=1.15 * max(point[0] for _, point, _ in points))
    heights = [point[1] for _, point, _ in points]
    room = 0.15 * max(max(heights) - min(heights), 0.5)
    axes.set_ylim(min(heights) - room, max(heights) + room)
    axes.grid(alpha=0.3)
    _label(canvas, axes, points)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_whole(path, buffer.getvalue())
    return True


def _label(canvas, axes, points):
    """Label each point at the first place where the label covers nothing."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    canvas.draw()  # settles the layout that pixel positions depend on
    taken = [
        Bbox.from_bounds(x - 10, y - 10, 20, 20)
        for x, y in axes.transData.transform([point for _, point, _ in points])
    ]
    frame = axes.get_window_extent()
    for name, point, color in points:
        label = axes.annotate(
            name,
            point,
            xytext=OFFSETS[0],
            textcoords="offset points",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6},
        )
        for x, y in OFFSETS:
            label.set_position((x, y))
            label.set_horizontalalignment("left" if x > 0 else "right" if x < 0 else "center")
            # The text alone: the annotation's own extent has the leader line in it.
            label.update_positions(canvas.get_renderer())
            box = Text.get_window_extent(label).padded(MARGIN_PIXELS)
            inside = frame.containsx(box.x0) and frame.containsx(box.x1)
            inside = inside and frame.containsy(box.y0) and frame.containsy(box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
