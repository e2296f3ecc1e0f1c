"""Fetch the vocabularies that the tests need: cl100k_base and o200k_base, checked to the byte.

    python fetch_vocabularies.py FOLDER

tiktoken would download them from a host of OpenAI's; the wheel of llama-index-core on PyPI
carries both, under the names that tiktoken's cache has. Only that one wheel is downloaded, and
nothing of it is installed.
"""

import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

WHEEL = "llama-index-core==0.14.25"
FOLDER_IN_WHEEL = "llama_index/core/_static/tiktoken_cache"
FILES = {  # the names in tiktoken's cache, and the hashes that tiktoken expects
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4": (
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"  # cl100k_base
    ),
    "fb374d419588a4632f3f557e76b4b70aebbca790": (
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"  # o200k_base
    ),
}


def main() -> None:
    """Download the wheel, and write its two files into the folder named."""
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
        subprocess.run([*download, place, WHEEL], check=True)  # noqa: S603 - pip, of our own Python
        (wheel,) = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            found = {name: archive.read(f"{FOLDER_IN_WHEEL}/{name}") for name in FILES}
    for name, expected in FILES.items():
        got = sha256(found[name]).hexdigest()
        if got != expected:
            sys.exit(f"{WHEEL}: {name}: expected sha256 {expected}, got {got}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in found.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
