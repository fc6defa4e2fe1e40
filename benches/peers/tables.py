"""Rows, tables and the comparison in Markdown, and the part of benches/README.md that contains them."""

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "README.md"
HEADS = ["server (picture returned)", "at once", "p50, ms", "p99, ms", "added p50, ms", "added p99, ms",
         "added p50 without picture work, ms", "requests/s", "CPU, ms", "RSS, MiB", "sent upstream, kB"]


@dataclass
class Row:
    """One server under one load. Times are in seconds for each request, memory in MiB, `sent` in bytes per request."""

    server: str
    size: tuple[int, int]  # of the returned picture
    at_once: int
    p50: float
    p99: float
    relay: float  # median of the latency without the work on pixels
    rate: float
    cpu: float
    peak: float
    sent: float
    busy: float  # the part of the cores that programs outside the benchmark used

    def cells(self, base):
        """The row's cells; `base` is the provider's own row under the same load."""
        milliseconds = [self.p50, self.p99, self.p50 - base.p50, self.p99 - base.p99, self.relay - base.relay]
        return [f"{self.server} ({self.size[0]} x {self.size[1]})", str(self.at_once),
                *(f"{1000 * time:.1f}" for time in milliseconds), f"{self.rate:.1f}", f"{1000 * self.cpu:.1f}",
                f"{self.peak:.0f}", f"{self.sent / 1000:.0f}"]


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def medians(latencies):
    """The medians of the whole latency, and of the latency without the work on pixels."""
    return (statistics.median(latency.total for latency in latencies),
            statistics.median(latency.total - latency.picture_work for latency in latencies))


def line(cells):
    return f"| {' | '.join(cells)} |"


def table(title, loads):
    """A table of a list of loads for each server. The first list is the provider's own."""
    lines = [line(row.cells(base)) for rows in loads for row, base in zip(rows, loads[0])]
    return "\n".join([f"{title}:", "", line(HEADS), line(["---"] * len(HEADS)), *lines])


# Smaller is better.
COLUMNS = {
    "added p50": lambda row: row.p50,
    "added p99": lambda row: row.p99,
    "added p50 without picture work": lambda row: row.relay,
    "requests/s": lambda row: -row.rate,
    "CPU": lambda row: row.cpu,
    "RSS": lambda row: row.peak,
    "sent upstream": lambda row: row.sent,
}


def comparison(own, peer, theirs):
    """Lists the columns in which a server is ahead of all configurations of a peer, under every load or some loads.
    `theirs` are the rows of each configuration."""
    ahead = {name: [mine.at_once for mine, *others in zip(own, *theirs) if value(mine) < min(map(value, others))]
             for name, value in COLUMNS.items()}
    always = [name for name, loads in ahead.items() if len(loads) == len(own)]
    sometimes = [f"{name} ({', '.join(map(str, loads))} at once)" for name, loads in ahead.items()
                 if 0 < len(loads) < len(own)]
    never = [name for name, loads in ahead.items() if not loads]
    parts = [f"{word} {', '.join(names)}" for word, names in
             [("ahead in", always), ("partly ahead in", sometimes), ("behind in", never)] if names]
    return f"- {own[0].server}, beside {peer}: {'; '.join(parts)}."


def write(text):
    """Replaces the text between the markers in benches/README.md."""
    page = PAGE.read_text()
    marked = re.compile(r"(<!-- measured: peers -->\n).*?(<!-- end -->)", re.S)
    if not marked.search(page):
        raise RuntimeError(f"{PAGE} has no marker for this table")
    PAGE.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page))
