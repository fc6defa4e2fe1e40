"""Starts a gateway for a benchmark, sends it pictures, and reads its memory and processor time from /proc."""

import atexit
import http.client
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Answer(NamedTuple):
    body: bytes
    headers: http.client.HTTPMessage
    seconds: float  # from the first byte of the request to the last byte of the response


def environment(folder, settings):
    """The environment of a gateway that stores its files in `folder` and has no rate limits. The keys of `settings` are
    those of the documentation, without PIXCOLOR_."""
    return dict(os.environ, HOME=str(folder), ROCKET_PORT="0", PIXCOLOR_QUOTA__ENABLED="false",
                PIXCOLOR_ON_COLOUR="recolour", **{f"PIXCOLOR_{key}": value for key, value in settings.items()})


class Gateway:
    """A gateway with an empty cache."""

    def __init__(self, binary, folder, settings):
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.process = subprocess.Popen([binary], env=environment(self.folder, settings), cwd=self.folder,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        atexit.register(self.process.kill)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"listens on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise RuntimeError("the gateway did not start:\n" + "".join(said))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def colorize(self, picture):
        """Colours a JPEG without a cache lookup."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.connect()
        start = time.perf_counter()
        connection.request("POST", "/v1/colorize", picture,
                           {"Content-Type": "image/jpeg", "Cache-Control": "no-cache"})
        response = connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - start
        connection.close()
        assert response.status == 200, body
        return Answer(body, response.headers, seconds)

    def peak(self):
        """The peak memory, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def seconds(self):
        """The processor time of all threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def on_disk(self):
        """The size of the disk cache, in bytes."""
        cache = self.folder / ".cache"
        return sum(file.stat().st_blocks * 512 for file in cache.rglob("*") if file.is_file())

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)
