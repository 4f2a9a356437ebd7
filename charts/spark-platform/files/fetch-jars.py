"""Fetches jars into a folder and compares them with their SHA-256. Arguments: list (JSON), folder."""

import hashlib
import json
import sys
import urllib.request
from pathlib import Path

TIMEOUT_S = 60


def main() -> int:
    jars = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for jar in jars:
        target = Path(sys.argv[2], jar["url"].rsplit("/", 1)[-1])
        digest = hashlib.sha256()
        with urllib.request.urlopen(jar["url"], timeout=TIMEOUT_S) as source, target.open("wb") as file:
            while block := source.read(1 << 20):
                digest.update(block)
                file.write(block)
        wanted = jar.get("sha256")
        if wanted and digest.hexdigest() != wanted:
            target.unlink()
            print(f"{jar['url']}: sha256 is {digest.hexdigest()}, expected {wanted}", file=sys.stderr)
            return 1
        print(f"{jar['url']}: {target.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
