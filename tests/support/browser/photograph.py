"""A photograph as a phone takes it: large, turned by a note beside the picture, and with the place of its taking."""

import base64
import struct

from playwright.sync_api import Page

MAKER: bytes = b"Pocket Camera 12"
"""Stands in the part that says where the photograph was taken: whoever finds it in a file has found the place."""

_DRAW = """async ([width, height]) => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const paint = canvas.getContext('2d');
  const sky = paint.createLinearGradient(0, 0, width, height);
  sky.addColorStop(0, '#204060');
  sky.addColorStop(1, '#d08030');
  paint.fillStyle = sky;
  paint.fillRect(0, 0, width, height);
  paint.fillStyle = '#fff';
  paint.fillRect(width / 10, height / 10, width / 5, height / 5);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.9));
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
  return url.split(',')[1];
}"""


def photograph(page: Page, width: int = 4032, height: int = 3024) -> bytes:
    """Take one of this size in px, 12 megapixels unless another is asked for; a JPEG with Exif."""
    plain = base64.b64decode(page.evaluate(_DRAW, [width, height]))
    exif = b"Exif\x00\x00" + _place()
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]


def _place() -> bytes:
    """A TIFF of three entries (maker, turned by a quarter, where) and a position of two (46.95 N, 7.45 E)."""
    main, place = 8, 8 + 2 + 3 * 12 + 4
    values = place + 2 + 4 * 12 + 4
    entries = [
        struct.pack("<HHII", 0x010F, 2, len(MAKER), values),
        struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0),
        struct.pack("<HHII", 0x8825, 4, 1, place),
    ]
    rationals = values + len(MAKER)
    position = [
        struct.pack("<HHI4s", 1, 2, 2, b"N\0"),
        struct.pack("<HHII", 2, 5, 3, rationals),
        struct.pack("<HHI4s", 3, 2, 2, b"E\0"),
        struct.pack("<HHII", 4, 5, 3, rationals + 24),
    ]
    degrees = struct.pack("<12I", 46, 1, 57, 1, 0, 1, 7, 1, 27, 1, 0, 1)
    directory = struct.pack("<H", 3) + b"".join(entries) + struct.pack("<I", 0)
    return (
        struct.pack("<2sHI", b"II", 42, main)
        + directory
        + struct.pack("<H", 4)
        + b"".join(position)
        + struct.pack("<I", 0)
        + MAKER
        + degrees
    )
