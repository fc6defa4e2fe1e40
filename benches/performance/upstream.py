"""The host of the remote provider."""

import math
import re
import socket
import threading
import time


class Upstream:
    """A host that answers every POST with the same picture."""

    def __init__(self, picture):
        self.answer = (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(picture)) + picture
        self.seconds = math.inf
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.answer_all, args=[connection], daemon=True).start()

    def answer_all(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        while data := connection.recv(1 << 20):
            start = start if received else time.perf_counter()
            received += data
            head, separator, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if separator and len(body) >= (int(length[1]) if length else 0):
                connection.sendall(self.answer)
                self.seconds = min(self.seconds, time.perf_counter() - start)
                received = b""
