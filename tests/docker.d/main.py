"""Runs the parts of tests/docker one after the other; each file says what it tests."""

import argparse
import signal
import sys

import bases
import compose
import image
import network
from common import check, docker, summary

PARTS = {"image": image.checks, "network": network.checks, "compose": compose.checks}

parser = argparse.ArgumentParser(prog="tests/docker")
parser.add_argument("--image", help="test this existing image instead of building one")
parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
arguments = parser.parse_args()
unknown = set(arguments.parts) - set(PARTS)
if unknown:
    parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
# Signals end this program through an exception, so that each check stops what it started. SIGINT needs a handler, too:
# a shell starts background programs with SIGINT ignored, and the children of this program would inherit that.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

if arguments.image:
    docker("tag", arguments.image, image.NAME)
else:
    with bases.tags(bases.builder()):
        with check("`docker build` builds the image from the Containerfile"):
            image.build()
        with check("a changed document causes no rebuild"):
            image.nothing_is_built_again()
if docker("images", "-q", image.NAME):
    for part in arguments.parts or PARTS:
        print(f"\n{part}", flush=True)
        PARTS[part](built=not arguments.image)
sys.exit(summary())
