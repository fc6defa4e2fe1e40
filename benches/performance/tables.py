"""The tables in Markdown, and docs/performance.md, which contains them."""

import re

from . import ROOT
from .measure import FOLDER

PAGE = ROOT / "docs/performance.md"
STEPS = ["receive", "queue", "decode", "detect", "reduce", "provider", "guard", "merge", "encode", "store"]


def ms(seconds):
    return f"{seconds * 1e3:.0f} ms" if seconds >= 0.01 else f"{seconds * 1e3:.1f} ms"


def percent(ratio):
    return f"{ratio * 100:.0f} %"


def summary(sizes, remote, folder, hit_rows, idle):
    """For each kind of work: its name, the measurement, the goal, and whether it is reached. There are no wall times
    and no rates if the machine was not idle."""
    one, twelve, fifty = sizes[1], sizes[12], sizes[50]
    wall = lambda seconds, more="": f", {ms(seconds)} of wall time{more}" if idle else ""
    # A goal for wall time is not known to be reached if the machine was not idle.
    reached = lambda cpu, wall: cpu and (wall if idle else None)
    rows = [
        ("a grey JPEG of 1 megapixel, the built-in network, a JPEG out",
         f"{ms(one.cpu)} of processor time, {one.cpu / one.bound:.2f} x Pillow's decoding and encoding and onnxruntime",
         "at most 1.6 x", one.cpu <= 1.6 * one.bound),
        ("the same, 12 megapixels", f"{ms(twelve.cpu)} of processor time{wall(twelve.wall)}",
         "at most 200 ms, at most 130 ms on two idle cores", reached(twelve.cpu <= 0.2, twelve.wall <= 0.13)),
        ("the same, 50 megapixels", f"{ms(fifty.cpu)} of processor time, {fifty.peak:.0f} MiB at the peak",
         "at most 650 ms", fifty.cpu <= 0.65),
        ("a remote provider (kind `http`) that answers with a PNG of 640 x 640, 1 megapixel, one client",
         f"{ms(remote.cpu)} of processor time{wall(remote.wall, f', {ms(remote.upstream)} of it upstream')}",
         "at most 35 ms each", reached(remote.cpu <= 0.035, remote.wall <= 0.035)),
    ]
    if hit_rows:
        get, nginx = hit_rows["GET /v1/results/{digest}"], hit_rows["nginx, static file"]
        post, sha = hit_rows["POST /v1/colorize"], hit_rows["SHA-256 of the upload"]
        rate = f"{percent(get[0] / nginx[0])} of nginx's requests per second; " if idle else ""
        rows += [
            ("`GET` of a cached result, 300 kB",
             f"{rate}{get[1] / 1e3:.2f} ms of processor time, nginx {nginx[1] / 1e3:.2f} ms",
             "at least 60 % of nginx's requests per second", reached(True, get[0] >= 0.6 * nginx[0])),
            ("`POST` of a repeated upload, 300 kB",
             f"{post[1] / 1e3:.2f} ms of processor time; SHA-256 alone takes {percent(sha[1] / post[1])} of it",
             "at least 40 %", sha[1] >= 0.4 * post[1]),
        ]
    if folder and len(folder.cores) == 2:
        one_core, two_cores = folder.per_second[1], folder.per_second[2]
        rows.append((f"`pixcolor colorize` of {FOLDER} photographs of 1 megapixel, two cores",
                     f"{two_cores:.1f} pictures/s, {two_cores / one_core:.2f} x one core", "", None))
    return rows


def with_goals(rows):
    verdict = {True: "yes", False: "no", None: ""}
    return "\n".join(["| work | measured | goal | reached |", "|---|---|---|---|"] +
                     [f"| {work} | {measured} | {goal} | {verdict[reached]} |"
                      for work, measured, goal, reached in rows])


def without_goals(rows):
    return "\n".join(["| work | measured |", "|---|---|"] +
                     [f"| {work} | {measured} |" for work, measured, _, _ in rows])


def by_size(sizes, idle):
    lines = ["| megapixels | gateway, processor time | Pillow and onnxruntime, processor time | ratio "
             "| gateway, wall time | peak memory | sum of `Server-Timing` / wall time |",
             "|---|---|---|---|---|---|---|"]
    for size in sizes.values():
        lines.append(f"| {size.megapixels} | {ms(size.cpu)} | {ms(size.peer)} | {size.cpu / size.peer:.2f} "
                     f"| {ms(size.wall) if idle else '-'} | {size.peak:.0f} MiB | {percent(size.share)} |")
    return "\n".join(lines)


def by_step(sizes, remote):
    """Server-Timing of the fastest request of each size, in milliseconds."""
    lines = [f"| step, ms | {' | '.join(f'{megapixels} MP' for megapixels in sizes)} | remote, 1 MP |",
             "|---" * (len(sizes) + 2) + "|"]
    timings = [size.steps for size in sizes.values()] + [remote.steps]
    for step in STEPS:
        cells = " | ".join(f"{steps.get(step, 0) * 1e3:.1f}" for steps in timings)
        lines.append(f"| `{step}` | {cells} |")
    return "\n".join(lines)


def by_peer_step(sizes):
    lines = [f"| step of the peer, ms | {' | '.join(f'{megapixels} MP' for megapixels in sizes)} |",
             "|---" * (len(sizes) + 1) + "|"]
    for step in next(iter(sizes.values())).peer_steps:
        cells = " | ".join(f"{size.peer_steps[step] * 1e3:.1f}" for size in sizes.values())
        lines.append(f"| {step} | {cells} |")
    return "\n".join(lines)


def hit_table(rows):
    """Processor time per hit, beside the least that any server needs."""
    hashing, static, not_modified = (f"{rows[name][1] / 1e3:.2f} ms" for name in
                                     ["SHA-256 of the upload", "nginx, static file", "nginx, 304"])
    bounds = [
        ("`POST /v1/colorize`", "POST /v1/colorize", f"{hashing}: only hashing the upload"),
        ("the same, answered in JSON", "POST /v1/colorize, as JSON", f"{hashing}: only hashing the upload"),
        ("`GET /v1/results/...`", "GET /v1/results/{digest}",
         f"{static}: nginx with the same file, which the kernel sends"),
        ("the same, 304", "304", f"{not_modified}: nginx"),
    ]
    lines = ["| cache hit | processor time | lower bound for comparison |", "|---|---|---|"]
    lines += [f"| {name} | {rows[row][1] / 1e3:.2f} ms | {bound} |" for name, row, bound in bounds]
    return "\n".join(lines)


def write(tables):
    """Replaces the text between the markers of each table in PAGE."""
    page = PAGE.read_text()
    for name, table in tables.items():
        marked = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.S)
        assert marked.search(page), f"{PAGE} has no marker for {name}"
        page = marked.sub(lambda found: f"{found[1]}{table}\n{found[2]}", page)
    PAGE.write_text(page)
