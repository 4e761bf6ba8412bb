"""Pictures of letters for docs/physicist/letters.md: each .eml as a mail program shows it, wide and narrow.

    python benchmarks/letter_pictures.py OUTBOX docs/images

Needs Debian's `chromium`. OUTBOX is `<data_dir>/outbox` of a run without a mail server; one letter of each kind is
drawn.
"""

from __future__ import annotations

import argparse
import base64
import subprocess
import tempfile
from email import message_from_bytes
from email.policy import SMTP
from io import BytesIO
from pathlib import Path

from PIL import Image

KINDS = ("medical_physics", "operator", "restricted", "operations")
SCREENS = {"wide": 720, "narrow": 390}  # px
LEAST_WINDOW_PX = 500  # a narrower window is not drawn narrower
TALLEST_PX = 1500  # of a long letter its beginning is shown


def main() -> None:
    """Draw the first letter of each kind in both widths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outbox", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        for letter in sorted(arguments.outbox.glob(f"*_{kind}_*.eml"))[:1]:
            html = html_of(letter)
            for screen, width in SCREENS.items():
                target = arguments.folder / f"letter_{kind}_{screen}.png"
                target.write_bytes(picture_of(html, width))
                print(target, f"{target.stat().st_size // 1024} kB")


def html_of(letter: Path) -> str:
    """The HTML of a letter with its picture inside, as a mail program puts them together."""
    message = message_from_bytes(letter.read_bytes(), policy=SMTP)
    body = message.get_body(("html",))
    if body is None:
        raise SystemExit(f"{letter} has no HTML.")
    html = str(body.get_content())
    for part in message.walk():
        if part.get_content_type() == "image/png":
            png = base64.b64encode(part.get_content()).decode()
            html = html.replace(f"cid:{part['Content-ID'].strip('<>')}", f"data:image/png;base64,{png}")
    return html


def picture_of(html: str, width: int) -> bytes:
    """A PNG of few colours, cut where the letter ends."""
    html = html.replace('<body style="', f'<body style="width:{width}px;', 1)
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "letter.html", Path(folder) / "letter.png"
        page.write_text(html, "utf-8")
        size = f"--window-size={max(width, LEAST_WINDOW_PX)},{TALLEST_PX}"
        quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
        command = ["chromium", *quiet, size, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        image = Image.open(shot).convert("RGB").crop((0, 0, width, TALLEST_PX))
    empty = image.getpixel((2, TALLEST_PX - 2))
    last = max(y for y in range(TALLEST_PX) if image.getpixel((width // 2, y)) != empty)
    out = BytesIO()
    image.crop((0, 0, width, min(TALLEST_PX, last + 14))).quantize(48).save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
