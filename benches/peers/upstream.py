"""A fake provider that answers at once. Every peer calls it, each by its own protocol.

It does not decode what it receives: all uploads show the same photograph, so one prepared picture answers all of them.
It speaks plain HTTP (`POST /colorize`), Algorithmia's protocol and OpenAI's image edits, and counts calls and bytes.

    upstream.py PORT PICTURE.png PICTURE.jpg
"""

import asyncio
import base64
import json
import sys

import uvloop

OUTPUT = "data://.algo/deeplearning/ColorfulImageColorization/temp/coloured.png"


def head(media_type, length):
    fields = f"Content-Type: {media_type}\r\nContent-Length: {length}\r\nX-Data-Type: file\r\n"
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode()


def response(media_type, body):
    return head(media_type, len(body)) + body


class Provider:
    """The prepared answers, and what was received since the last `GET /counts`."""

    def __init__(self, png, jpeg):
        call = {"result": {"output": OUTPUT}, "metadata": {"content_type": "json", "duration": 0.0003}}
        edit = {"created": 1790000000, "data": [{"b64_json": base64.b64encode(jpeg).decode()}]}
        self.answers = {
            ("POST", "colorize"): response("image/png", png),
            ("POST", "algo"): response("application/json", json.dumps(call).encode()),
            ("POST", "edits"): response("application/json", json.dumps(edit).encode()),
            ("GET", "data"): response("image/png", png),
            ("HEAD", "data"): head("image/png", len(png)),
        }
        self.calls = self.bytes = 0

    def answer(self, method, path, received):
        if path == "/counts":
            counts = json.dumps({"calls": self.calls, "bytes": self.bytes}).encode()
            self.calls = self.bytes = 0
            return response("application/json", counts)
        self.calls += method == "POST"
        self.bytes += received
        for (its_method, part), answer in self.answers.items():
            if method == its_method and f"/{part}" in path:
                return answer
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """Reads requests without keeping their bodies. `left` is the missing part of a body, None while reading a head."""

    def __init__(self, provider):
        self.provider, self.head, self.left, self.tail = provider, b"", None, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.left is None:
            self.head += data
            at = self.head.find(b"\r\n\r\n")
            if at < 0:
                return
            data, self.head = self.head[at + 4:], self.head[:at].decode("latin-1")
            self.begin(at + 4)
        self.received += len(data)
        if self.left == "chunked":
            self.tail = (self.tail + data[-5:])[-5:]
            ended = self.tail == b"0\r\n\r\n"
        else:
            self.left -= len(data)
            ended = self.left <= 0
        if ended:
            method, path, _ = self.head.split(" ", 2)
            self.transport.write(self.provider.answer(method, path, self.received))
            self.head, self.left = b"", None

    def begin(self, length):
        fields = dict(line.lower().split(":", 1) for line in self.head.split("\r\n")[1:])
        chunked = "chunked" in fields.get("transfer-encoding", "")
        self.left = "chunked" if chunked else int(fields.get("content-length", 0))
        self.received, self.tail = length, b""


async def main():
    port, png, jpeg = sys.argv[1:]
    with open(png, "rb") as png, open(jpeg, "rb") as jpeg:
        provider = Provider(png.read(), jpeg.read())
    server = await asyncio.get_running_loop().create_server(lambda: Connection(provider), "127.0.0.1", int(port))
    await server.serve_forever()


uvloop.run(main())
