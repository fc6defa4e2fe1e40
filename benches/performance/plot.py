"""The plot of docs/performance.md, an SVG."""

import math

from . import ROOT

PLOT = ROOT / "docs/images/performance.svg"
IMAGE = ("![Processor time against megapixels, for PixColor and for Pillow with onnxruntime]"
         f"(images/{PLOT.name})")


def plot(sizes):
    """An SVG of processor time against megapixels, for the gateway and the peer. Both axes are logarithmic."""
    left, top, width, height = 96, 50, 560, 310
    series = [("PixColor", "pixcolor", lambda size: size.cpu),
              ("Pillow and onnxruntime, one thread", "peer", lambda size: size.peer)]
    values = [value(size) for _, _, value in series for size in sizes.values()]
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
    low = max(tick for tick in ticks if tick <= min(values))
    high = min(tick for tick in ticks if tick >= max(values))
    x = lambda megapixels: left + width * math.log(megapixels) / math.log(50)
    y = lambda seconds: top + height * (1 - math.log(seconds / low) / math.log(high / low))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 30} {top + height + 60}" role="img">',
        "<title>Processor time against megapixels: PixColor, and Pillow with onnxruntime</title>",
        "<style>",
        "text { font: 13px sans-serif; fill: #1f2328; } .grid { stroke: #d1d9e0; } .paper, circle { fill: #ffffff; }",
        "polyline { fill: none; stroke-width: 2.5; } .pixcolor { stroke: #0969da; } .peer { stroke: #bc4c00; }",
        ".peer { stroke-dasharray: 7 4; } circle.peer { stroke-dasharray: none; } circle { stroke-width: 2.5; }",
        "@media (prefers-color-scheme: dark) {",
        "text { fill: #e6edf3; } .grid { stroke: #3d444d; } .paper, circle { fill: #0d1117; }",
        ".pixcolor { stroke: #58a6ff; } .peer { stroke: #f0883e; } }",
        "</style>",
        '<rect class="paper" width="100%" height="100%"/>',
    ]
    for megapixels in sizes:
        at = f"{x(megapixels):.1f}"
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{top}" y2="{top + height}"/>')
        parts.append(f'<text x="{at}" y="{top + height + 20}" text-anchor="middle">{megapixels}</text>')
    for tick in (tick for tick in ticks if low <= tick <= high):
        at = f"{y(tick):.1f}"
        label = f"{tick:g} s" if tick >= 1 else f"{tick * 1e3:.0f} ms"
        parts.append(f'<line class="grid" x1="{left}" x2="{left + width}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{left - 8}" y="{float(at) + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 45}" text-anchor="middle">'
                 "megapixels (both axes are logarithmic)</text>")
    parts.append(f'<text transform="translate(20 {top + height / 2}) rotate(-90)" text-anchor="middle">'
                 "processor time per picture</text>")
    for number, (name, key, value) in enumerate(series):
        points = [(f"{x(size.megapixels):.1f}", f"{y(value(size)):.1f}") for size in sizes.values()]
        parts.append(f'<polyline class="{key}" points="{" ".join(",".join(point) for point in points)}"/>')
        parts += [f'<circle class="{key}" cx="{at_x}" cy="{at_y}" r="3.5"/>' for at_x, at_y in points]
        at = left + 260 * number
        parts.append(f'<polyline class="{key}" points="{at},25 {at + 36},25"/>')
        parts.append(f'<circle class="{key}" cx="{at + 18}" cy="25" r="3.5"/>')
        parts.append(f'<text x="{at + 44}" y="29">{name}</text>')
    return "\n".join(parts + ["</svg>", ""])
