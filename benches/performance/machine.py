"""The machine: how busy other programs keep it, and its description."""

import os
import platform
import time
from pathlib import Path

# Wall times and rates are left out if other programs use more than this part of the cores.
BUSY = 0.15


def busy():
    """The part of all cores that programs use in one second, while this one sleeps."""
    def idle_and_all():
        times = [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return times[3] + times[4], sum(times)

    idle, total = idle_and_all()
    time.sleep(1)
    idle, total = (now - before for now, before in zip(idle_and_all(), (idle, total)))
    return 1 - idle / total


def machine():
    """The machine in words."""
    cores = len(os.sched_getaffinity(0))
    words = {1: "one core", 2: "two cores"}.get(cores, f"{cores} cores")
    avx2 = " with AVX2" if " avx2 " in Path("/proc/cpuinfo").read_text() else ""
    return f"{words} of a server, {platform.machine().replace('_', '-')}{avx2}"
