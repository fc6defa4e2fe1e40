#!/usr/bin/env python3
"""Measures how much processor time, wall time and memory a gateway needs, in one run beside a peer: Pillow and
onnxruntime, nginx, SHA-256, or the same work on one core. Prints the tables of docs/performance.md and draws the plot.
Needs Linux and Python 3.11; the rows about cache hits also need what benches/hits.sh needs.

    cargo build --release && benches/performance.py target/release/pixcolor
    benches/performance.py target/release/pixcolor --write    # also changes docs/performance.md and its plot
"""

import argparse
import datetime
import os
import sys
import tempfile

from performance import ROOT  # the folder performance/, which Python finds before this file
from performance.environment import use_environment

use_environment()
# These modules need the packages of the virtual environment.
from performance.machine import BUSY, busy, machine
from performance.measure import FOLDER, Folder, Remote, Size, hits
from performance.peer import Peer
from performance.pictures import SIZES
from performance.plot import IMAGE, PLOT, plot
from performance.tables import (by_peer_step, by_size, by_step, hit_table, percent, summary, with_goals,
                                without_goals, write)


def main():
    parser = argparse.ArgumentParser(description="Measures a gateway beside its peers.")
    parser.add_argument("binary", type=os.path.abspath, help="the pixcolor to measure")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions; the minimum counts [5]")
    parser.add_argument("--hits", type=int, default=5, help="seconds per row of benches/hits.sh; 0 skips it [5]")
    parser.add_argument("--write", action="store_true", help="change docs/performance.md and its plot")
    options = parser.parse_args()
    progress = lambda what: print(f"performance.py: {what}", file=sys.stderr, flush=True)

    used, peer, sizes = busy(), Peer(), {}
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in SIZES:
            progress(f"{megapixels} MP")
            sizes[megapixels] = Size(options.binary, folder, peer, megapixels, options.rounds)
        progress("remote provider")
        remote = Remote(options.binary, folder, options.rounds)
        used = max(used, busy())
        batch = None
        if used < BUSY:
            progress(f"{FOLDER} files")
            batch = Folder(options.binary, folder)
    progress("cache hits")
    hit_rows = hits(options.binary, options.hits) if options.hits else {}
    used = max(used, busy())
    idle = used < BUSY

    today = datetime.date.today()
    others = "" if idle else (f" Other programs used up to {percent(used)} of the cores, so wall times and rates "
                              "are left out.")
    rows = summary(sizes, remote, batch if idle else None, hit_rows, idle)
    tables = {
        "when": f"Measured on {today.day} {today:%B %Y} on {machine()}.{others}",
        "summary": with_goals(rows),
        "sizes": f"{IMAGE}\n\n{by_size(sizes, idle)}",
        "steps": by_step(sizes, remote) if idle else "(left out: the machine was not idle)",
        "peer": by_peer_step(sizes),
    }
    if hit_rows:
        tables["hits"] = hit_table(hit_rows)
    print("\n\n".join(tables.values()))
    svg = PLOT if options.write else ROOT / ".test/performance.svg"
    svg.write_text(plot(sizes))
    if options.write:
        write({**tables, "summary": without_goals(rows)})
    print(f"\nplot: {svg.relative_to(ROOT)}")
    wrong = [f"{name}: {percent(part.share)}" for name, part in
             [(f"{size.megapixels} MP", size) for size in sizes.values()] + [("remote", remote)]
             if not 0.9 <= part.share <= 1.05]
    if wrong:
        sys.exit(f"performance.py: the steps of Server-Timing are not 90 to 105 % of the wall time: {', '.join(wrong)}")


main()
