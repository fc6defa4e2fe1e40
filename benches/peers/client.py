"""Builds requests in the protocols of the peers, sends them over several connections, and measures latencies."""

import base64
import re
import socket
import threading
import time
from typing import NamedTuple

# The steps in PixColor's header Server-Timing that work on pixels, or wait for the permit to do so.
PICTURE_STEPS = {"queue", "decode", "detect", "reduce", "guard", "merge", "encode"}
ALGORITHM = "deeplearning/ColorfulImageColorization"
FORM_FIELDS = {"model": "gpt-image-1", "prompt": "Colorize this photograph.", "output_format": "jpeg"}


def request(method, path, body=b"", media_type=None):
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    if media_type:
        head += f"Content-Type: {media_type}\r\n"
    return f"{head}\r\n".encode() + body


def data_url(upload):
    return b"data:image/jpeg;base64," + base64.b64encode(upload)


# Each of these functions returns the requests that colour one upload.


def page_of_2017(upload):
    return [request("POST", "/image", data_url(upload), "text/plain")]


def algorithmia(upload):
    body = b'{"image": "' + data_url(upload) + b'"}'
    return [request("POST", f"/v1/algo/{ALGORITHM}/1.1.5", body, "application/json"),
            request("GET", f"/v1/data/.algo/{ALGORITHM}/temp/coloured.png")]


def openai_edit(upload):
    part = "--limit\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n"
    head = "".join(part.format(name, "") + f"{value}\r\n" for name, value in FORM_FIELDS.items())
    head += part.format("image", "; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg")
    body = head.encode() + upload + b"\r\n--limit--\r\n"
    return [request("POST", "/v1/images/edits", body, "multipart/form-data; boundary=limit")]


class Connection:
    """A connection that is opened again if the server closes it after a response."""

    def __init__(self, port):
        self.port, self.socket, self.buffer = port, None, bytearray(4 << 20)

    def send(self, message):
        """Sends a request. Returns the head of the response, and its body, which is valid until the next request."""
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=120)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(message)
        view, size, end_of_head = memoryview(self.buffer), 0, -1
        while end_of_head < 0:
            size += self.receive(view[size:])
            end_of_head = self.buffer.find(b"\r\n\r\n", 0, size)
        head = bytes(view[:end_of_head]).decode("latin-1")
        length = re.search(r"^content-length: *(\d+)", head, re.I | re.M)
        if not head.startswith("HTTP/1.1 200") or not length:
            raise RuntimeError(f"a request failed:\n{head}\n{bytes(view[end_of_head:size])[:500]}")
        end = end_of_head + 4 + int(length[1])
        while size < end:
            size += self.receive(view[size:end])
        if re.search(r"^connection: *close", head, re.I | re.M):
            self.socket.close()
            self.socket = None
        return head, view[end_of_head + 4:end]

    def receive(self, view):
        count = self.socket.recv_into(view)
        if not count:
            raise RuntimeError("a server closed a connection, or its response is larger than the buffer")
        return count


class Latency(NamedTuple):
    total: float         # seconds
    picture_work: float  # the part of it that the server spent on PICTURE_STEPS, according to Server-Timing


def picture_work(head):
    """The duration of PICTURE_STEPS in seconds; 0 if the response has no Server-Timing."""
    header = re.search(r"^server-timing: *(.*)$", head, re.I | re.M)
    steps = re.findall(r"(\w+);dur=([\d.]+)", header[1]) if header else []
    return sum(float(milliseconds) for step, milliseconds in steps if step in PICTURE_STEPS) / 1000


class Load(NamedTuple):
    latencies: list[Latency]
    seconds: float
    last_body: bytes


def send_all(port, exchanges, at_once):
    """Makes all exchanges (lists of requests) over `at_once` connections."""
    latencies, bodies, failures, waiting = [], [], [], iter(exchanges)
    lock = threading.Lock()

    def client():
        try:
            connection, body = Connection(port), b""
            while True:
                with lock:
                    exchange = next(waiting, None)
                if exchange is None:
                    break
                start = time.perf_counter()
                for message in exchange:
                    head, body = connection.send(message)
                latencies.append(Latency(time.perf_counter() - start, picture_work(head)))
            bodies.append(bytes(body))
        except Exception as error:
            failures.append(error)

    clients = [threading.Thread(target=client, daemon=True) for _ in range(at_once)]
    start = time.perf_counter()
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    seconds = time.perf_counter() - start
    if failures:
        raise failures[0]
    return Load(latencies, seconds, next(body for body in bodies if body))
