"""The webhook's certificates, made with openssl and kept in a Secret that the webhook creates itself."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

CA_KEY, CA, KEY, CERTIFICATE = "ca-key.pem", "ca-cert.pem", "server-key.pem", "server-cert.pem"
KEYS = (CA_KEY, CA, KEY, CERTIFICATE)
"""The keys of the Secret."""
DAYS = 3650
LEFT_S = 180 * 24 * 3600
"""A certificate that ends within this time is made again at the next start."""
BITS = "2048"


def usable(secret: Mapping[str, str], host: str, folder: Path) -> bool:
    """Whether the data of a Secret (base64) holds certificates for this host that last long enough."""
    if not all(secret.get(key) for key in KEYS):
        return False
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for key in (CA, CERTIFICATE):
            Path(place, key).write_bytes(base64.b64decode(secret[key]))
        asked = [
            ["openssl", "x509", "-in", CERTIFICATE, "-noout", "-checkend", str(LEFT_S)],
            ["openssl", "verify", "-CAfile", CA, "-verify_hostname", host, CERTIFICATE],
        ]
        return all(subprocess.run(words, cwd=place, capture_output=True).returncode == 0 for words in asked)


def generated(host: str, folder: Path) -> dict[str, str]:
    """A new authority and a server certificate that it has signed, as a Secret's data. Takes a second."""
    subject = f"/O=spark-operator/CN={host}"
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for key in (CA_KEY, KEY):
            _openssl(place, "genrsa", "-traditional", "-out", key, BITS)
        named = ["-subj", subject, "-days", str(DAYS)]
        _openssl(place, "req", "-x509", "-new", "-key", CA_KEY, "-out", CA, *named)
        Path(place, "names").write_text(
            f"subjectAltName=DNS:localhost,DNS:{host}\nextendedKeyUsage=serverAuth,clientAuth\n", encoding="utf-8"
        )
        _openssl(place, "req", "-new", "-key", KEY, "-subj", subject, "-out", "request")
        signer = ["-CA", CA, "-CAkey", CA_KEY, "-CAcreateserial", "-days", str(DAYS), "-extfile", "names"]
        _openssl(place, "x509", "-req", "-in", "request", "-out", CERTIFICATE, *signer)
        return {key: base64.b64encode(Path(place, key).read_bytes()).decode() for key in KEYS}


def written(secret: Mapping[str, str], folder: Path) -> tuple[Path, Path]:
    """Put certificate and key where the server reads them; their files."""
    files = (folder / "tls.crt", folder / "tls.key")
    for file, key in zip(files, (CERTIFICATE, KEY), strict=True):
        file.write_bytes(base64.b64decode(secret[key]))
        file.chmod(0o600)
    return files


def _openssl(place: str, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=place, capture_output=True, check=True)
