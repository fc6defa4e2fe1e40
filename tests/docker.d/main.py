"""The parts of tests/docker, one after the other; each file says what it looks at."""

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
parser.add_argument("--image", help="an image that is there, instead of one that is built here")
parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
arguments = parser.parse_args()
unknown = set(arguments.parts) - set(PARTS)
if unknown:
    parser.error(f"these are no parts: {', '.join(sorted(unknown))}")
# Everything that the checks started ends with them. A shell that starts this in the background ignores SIGINT, and
# programs started here would inherit that.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))

if arguments.image:
    docker("tag", arguments.image, image.NAME)
else:
    with bases.tags(bases.builder()):
        with check("`docker build` makes the image by the Containerfile"):
            image.build()
        with check("a change of a document builds nothing again"):
            image.nothing_is_built_again()
if docker("images", "-q", image.NAME):
    for part in arguments.parts or PARTS:
        print(f"\n{part}", flush=True)
        PARTS[part](built=not arguments.image)
sys.exit(summary())
