"""Starts servers, and reads their processor time and memory from /proc."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from client import Connection, request

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS, STOP_SECONDS = 300, 10


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def read(path):
    """The text of a file in /proc, or nothing if the process has ended."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def family(pid):
    """A process and all its descendants."""
    with contextlib.suppress(FileNotFoundError):
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for thread in threads for child in read(thread / "children").split()]
        return [pid] + [descendant for child in children for descendant in family(child)]
    return []


def processor_seconds(pid):
    """The processor time so far of a process and its descendants."""
    stats = [stat.rsplit(")", 1)[1].split() for stat in (read(f"/proc/{one}/stat") for one in family(pid)) if stat]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / TICKS


def busy_seconds():
    """The processor time that all programs of the machine have used so far."""
    user, nice, system, _, _, irq, softirq, steal = map(int, read("/proc/stat").splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


class Server:
    running = []

    def __init__(self, folder, command, port, path="/", **variables):
        """Starts a server in this folder, and waits until it answers a GET of `path` and is idle."""
        self.port = port
        self.log = folder / "log"
        own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT,
                                            env=own | {"HOME": str(folder)} | variables, start_new_session=True)
        Server.running.append(self)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers(path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not answer:\n{self.log_tail()}")
            time.sleep(0.2)
        self.wait_until_idle()

    def answers(self, path):
        try:
            Connection(self.port).send(request("GET", path))
        except (OSError, RuntimeError):
            return False
        return True

    def wait_until_idle(self):
        """A worker can answer while other workers still start."""
        before, now = -1.0, self.cpu()
        while now - before > 0.05:
            time.sleep(1)
            before, now = now, self.cpu()

    def log_tail(self):
        return self.log.read_text(errors="replace")[-3000:]

    def cpu(self):
        return processor_seconds(self.process.pid)

    def reset_peak(self):
        for pid in family(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self):
        """The peak RSS since `reset_peak`, summed over the processes, in MiB."""
        peaks = [re.search(r"VmHWM:\s+(\d+)", read(f"/proc/{pid}/status")) for pid in family(self.process.pid)]
        return sum(int(peak[1]) for peak in peaks if peak) / 1024

    def stop(self):
        Server.running.remove(self)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        # Workers can survive the process that started them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
