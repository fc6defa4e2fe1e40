#!/usr/bin/env python3
"""Writes the fuzzers' initial inputs to fuzz/corpus: small pictures in every format, EXIF data and ICC profiles.

Needs Pillow and the Debian packages libjpeg-turbo-progs (cjpeg) and libtiff-tools (tiffcp). Existing files of the same
name are overwritten; other files are kept.
"""

import io
import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from PIL import Image, ImageCms

ROOT = Path(__file__).parent
CORPUS = ROOT / "corpus"
SIZE = (21, 13)


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def scene(size=SIZE):
    """A picture with edges, gradients and colour."""
    image = Image.new("RGB", size)
    for y in range(size[1]):
        for x in range(size[0]):
            image.putpixel((x, y), (x * 11 % 256, y * 17 % 256, 200 if (x // 5 + y // 4) % 2 else 40))
    return image


def file(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def run(program, *args, given=b""):
    return subprocess.run([program, *args], input=given, stdout=subprocess.PIPE, check=True).stdout


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def gray_profile(space):
    """A grey ICC profile: a white point and a curve of gamma 1.8; `space`, XYZ or Lab, is its connection space."""
    white = b"XYZ " + struct.pack(">4x3I", 0xF6D6, 0x10000, 0xD32D)
    curve = b"curv" + struct.pack(">4xIH2x", 1, int(1.8 * 256))
    at = 128 + 4 + 2 * 12
    table = struct.pack(">I4sII4sII", 2, b"wtpt", at, len(white), b"kTRC", at + len(white), len(curve))
    head = struct.pack(
        ">I4sI4s4s4s12s4s4sI4s4s8sI3I", at + len(white) + len(curve), b"", 0x02400000, b"mntr", b"GRAY", space,
        b"\x07\xe6\0\1\0\1" + bytes(6), b"acsp", b"", 0, b"", b"", b"", 0, 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + white + curve


def profiles():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Another gamma, so that the colours have to be converted.
    other = bytearray(srgb)
    other[other.find(b"para") + 12:][:4] = struct.pack(">I", 0x20000)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return {"srgb": srgb, "gamma": bytes(other), "lab": lab,
            "grey-xyz": gray_profile(b"XYZ "), "grey-lab": gray_profile(b"Lab ")}


def jpegs():
    image, ppm = scene(), file(scene(), "PPM")
    for sampling in ["1x1", "2x1", "1x2", "2x2", "4x1"]:
        for kind, args in [("baseline", []), ("progressive", ["-progressive"]), ("restarts", ["-restart", "2B"])]:
            yield f"{kind}-{sampling}.jpg", run("cjpeg", "-quality", "60", "-sample", sampling, *args, given=ppm)
    with tempfile.NamedTemporaryFile("w") as scans:
        scans.write("0;\n1;\n2;\n")
        scans.flush()
        yield "three-scans.jpg", run("cjpeg", "-sample", "2x2", "-scans", scans.name, given=ppm)
    yield "arithmetic.jpg", run("cjpeg", "-arithmetic", given=ppm)
    yield "grey.jpg", file(image.convert("L"), "JPEG")
    yield "grey-progressive.jpg", file(image.convert("L"), "JPEG", progressive=True)
    yield "cmyk.jpg", file(image.convert("CMYK"), "JPEG")
    yield "rgb.jpg", run("cjpeg", "-rgb", given=ppm)
    yield "turned.jpg", file(image, "JPEG", exif=exif(6))
    yield "profile.jpg", file(image, "JPEG", icc_profile=profiles()["gamma"])
    whole = file(image, "JPEG")
    yield "no-end.jpg", whole[:-2]
    yield "cut.jpg", whole[:-len(whole) // 5]


def pngs():
    image = scene()
    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]:
        picture = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
        yield f"{mode.replace(';', '')}.png", file(picture, "PNG")
    yield "transparent.png", file(image.convert("P"), "PNG", transparency=3)
    yield "profile.png", file(image, "PNG", icc_profile=profiles()["gamma"])
    yield "grey-profile.png", file(image.convert("L"), "PNG", icc_profile=profiles()["grey-lab"])
    yield "turned.png", file(image, "PNG", exif=exif(8))
    frames = [image, image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    yield "animated.png", file(frames[0], "PNG", save_all=True, append_images=frames[1:])
    whole = file(image.convert("L"), "PNG")
    gamma = struct.pack(">I4sI", 4, b"gAMA", 100_000)
    gamma += struct.pack(">I", zlib.crc32(gamma[4:]))
    yield "gamma.png", whole[:33] + gamma + whole[33:]
    yield "no-end.png", whole[:-12]


def tiffs():
    image = scene((40, 36))
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.tif", Path(folder) / "out.tif"
        for mode in ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"]:
            picture = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
            picture.save(source)
            name = mode.replace(";", "")
            yield f"{name}.tif", source.read_bytes()
            for label, args in [
                ("tiles-lzw", ["-t", "-w", "16", "-l", "16", "-c", "lzw:2" if mode in ("L", "RGB") else "lzw"]),
                ("planes", ["-p", "separate", "-c", "packbits"]),
                ("planar-tiles", ["-p", "separate", "-t", "-w", "16", "-l", "16", "-c", "zip"]),
                ("big-endian", ["-B", "-r", "5", "-c", "zip"]),
                ("big", ["-8", "-c", "none"]),
            ] + ([("g4", ["-c", "g4"]), ("g3", ["-c", "g3:2d"])] if mode == "1" else []):
                done = subprocess.run(["tiffcp", *args, source, out], stderr=subprocess.DEVNULL)
                if done.returncode == 0:
                    yield f"{name}-{label}.tif", out.read_bytes()
        image.save(source, compression="jpeg")
        yield "jpeg.tif", source.read_bytes()
        image.save(source, icc_profile=profiles()["gamma"])
        yield "profile.tif", source.read_bytes()
        image.save(source, save_all=True, append_images=[image.convert("L")])
        yield "pages.tif", source.read_bytes()


def webps():
    image = scene()
    for name, picture in [("rgb", image), ("alpha", image.convert("RGBA").rotate(20))]:
        yield f"{name}-lossy.webp", file(picture, "WEBP", quality=50)
        yield f"{name}-lossless.webp", file(picture, "WEBP", lossless=True)
    yield "profile.webp", file(image, "WEBP", icc_profile=profiles()["gamma"], exif=exif(3))
    frames = [image, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    yield "animated.webp", file(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def bmps():
    image = scene()
    for mode in ["1", "L", "P", "RGB", "RGBA"]:
        yield f"{mode}.bmp", file(image.convert(mode), "BMP")
    # Run-length encoded rows, made by hand because Pillow cannot write them.
    palette = b"".join(bytes([i * 60, 255 - i * 60, i, 0]) for i in range(4))
    rows = b"".join(bytes([5, y % 4, 0, 3, 1, 2, 3, 0, 0, 0]) for y in range(8)) + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, len(rows), 0, 0, 4, 0)
    at = 14 + len(head) + len(palette)
    yield "runs.bmp", struct.pack("<2sIII", b"BM", at + len(rows), 0, at) + head + palette + rows
    # A file with 16 bits per pixel and channel masks, and a file with a version 4 header and opacity.
    pixels = b"".join(struct.pack("<H", (x * 4000 + y * 77) % 65536) for y in range(6) for x in range(6))
    head = struct.pack("<IiiHHIIiiII", 40, 6, 6, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    head += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    yield "masks.bmp", struct.pack("<2sIII", b"BM", 14 + len(head) + len(pixels), 0, 14 + len(head)) + head + pixels
    pixels = b"".join(bytes([x * 40, y * 40, 99, x * y]) for y in range(6) for x in range(6))
    head = struct.pack("<IiiHHIIiiII", 108, 6, -6, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    yield "version-4.bmp", struct.pack("<2sIII", b"BM", 14 + len(head) + len(pixels), 0, 14 + len(head)) + head + pixels


def gifs():
    image = scene()
    yield "plain.gif", file(image, "GIF")
    yield "grey.gif", file(image.convert("L"), "GIF", interlace=0)
    yield "transparent.gif", file(image.convert("P"), "GIF", transparency=2)
    frames = [image, image.transpose(Image.Transpose.ROTATE_180)]
    yield "animated.gif", file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)


def exifs():
    yield "short.exif", exif(6)[6:]
    for name, order, kind, value in [("byte", "<", 1, "B3x"), ("long", ">", 4, "I"), ("signed", "<", 9, "i")]:
        entry = struct.pack(f"{order}HHI{value}", 0x0112, kind, 1, 8)
        mark = b"II" if order == "<" else b"MM"
        yield f"{name}.exif", mark + struct.pack(f"{order}HIH", 42, 8, 1) + entry + bytes(4)


def main():
    for program in ["cjpeg", "tiffcp"]:
        assert shutil.which(program), program
    kinds = {"jpeg": jpegs, "png": pngs, "tiff": tiffs, "webp": webps, "bmp": bmps, "gif": gifs, "exif": exifs}
    for target, make in kinds.items():
        for name, data in make():
            write(target, name, data)
            if target == "jpeg":
                write("jpeg_walk", name, data)
    for target, names in {
        "jpeg": ["progressive-2x2.jpg", "grey.jpg", "turned.jpg", "cmyk.jpg"],
        "png": ["RGBA.png", "L.png", "1.png", "I16.png", "profile.png"],
        "tiff": ["L-tiles-lzw.tif", "1-g4.tif", "RGBA.tif"],
        "webp": ["rgb-lossy.webp", "alpha-lossless.webp"],
        "bmp": ["runs.bmp", "RGB.bmp"],
        "gif": ["transparent.gif"],
    }.items():
        for name in names:
            write("way", name, (CORPUS / target / name).read_bytes())
    for name, profile in profiles().items():
        for kind in ([0] if name.startswith("grey") else [1, 2]):
            write("icc", f"{name}-{kind}.icc", bytes([kind]) + profile)


if __name__ == "__main__":
    main()
