"""Images as OCI layouts, made with nothing but Python; and a registry that never comes to an end."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(content: bytes) -> str:
    """As OCI writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer(files: Dict[str, bytes], folders: List[str]) -> bytes:
    """A tar with these."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in folders:
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def bootable_layer(version: str) -> bytes:
    """The tar of a system that has what a deployment asks for."""
    modules = "usr/lib/modules/6.12.0"
    folders = ["usr", "usr/lib", "usr/lib/modules", modules, "etc", "var", "boot", "sysroot"]
    os_release = f'ID=debian\nPRETTY_NAME="Debian {version}"\nVERSION_ID={version}\n'
    return layer(
        {
            f"{modules}/vmlinuz": b"kernel " + version.encode() * 100,
            f"{modules}/initramfs.img": b"initramfs" * 100,
            "usr/lib/os-release": os_release.encode(),
            "etc/hostname": b"machine\n",
        },
        folders,
    )


def documents(tar: bytes) -> Tuple[bytes, bytes]:
    """The configuration and the manifest of an image with this layer."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
            "config": {},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(config),
                "size": len(config),
            },
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(tar), "size": len(tar)}
            ],
        }
    ).encode()
    return config, manifest


def artifact_manifest(body: bytes, media_type: str) -> bytes:
    """The manifest of an artifact with this file."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example.disk",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2},
            "layers": [{"mediaType": media_type, "digest": digest(body), "size": len(body)}],
        }
    ).encode()


def write_layout(folder: Path, manifest: bytes, blobs: List[bytes]) -> None:
    """An OCI layout, tagged ``latest``."""
    place = folder / "blobs" / "sha256"
    place.mkdir(parents=True, exist_ok=True)
    for blob in [manifest, *blobs]:
        (place / digest(blob)[len("sha256:") :]).write_bytes(blob)
    entry: Dict[str, Any] = {"mediaType": MANIFEST, "digest": digest(manifest), "size": len(manifest)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def write_image(folder: Path, version: str = "12") -> bytes:
    """A bootable image as a layout; gives its layer."""
    tar = bootable_layer(version)
    config, manifest = documents(tar)
    write_layout(folder, manifest, [config, tar])
    return tar


def partitioned_disk(size: int = 4 << 20) -> bytes:
    """A disk with an MBR and one partition."""
    disk = bytearray(size)
    disk[510:512] = b"\x55\xaa"
    disk[446 + 4] = 0x83
    disk[446 + 8 : 446 + 16] = (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    disk[2 << 20 : (2 << 20) + 5] = b"hello"
    return bytes(disk)


class Registry:
    """A registry on this machine with one image, which may ask for a password, and may stall in the middle of a layer."""

    def __init__(self, *, stalls: bool = False, authorization: Optional[str] = None) -> None:
        tar = bootable_layer("12") + b"\0" * (1 << 20)
        config, manifest = documents(tar)
        blobs = {digest(blob): blob for blob in (config, tar)}
        stop = self._stop = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers what a pull asks for."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # pylint: disable=invalid-name
                if authorization is not None and self.headers.get("Authorization") != authorization:
                    self._answer(401, b"{}", "application/json", [("WWW-Authenticate", 'Basic realm="here"')])
                elif self.path == "/v2/":
                    self._answer(200, b"{}", "application/json")
                elif "/manifests/" in self.path:
                    self._answer(200, manifest, MANIFEST)
                else:
                    self._blob(blobs.get(self.path.rsplit("/", 1)[-1]))

            do_HEAD = do_GET

            def _blob(self, blob: Optional[bytes]) -> None:
                if blob is None:
                    self._answer(404, b"{}", "application/json")
                elif stalls and blob is tar:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(blob)))
                    self.end_headers()
                    self.wfile.write(blob[: 600 << 10])
                    self.wfile.flush()
                    stop.wait(60)
                    self.close_connection = True
                else:
                    self._answer(200, blob, "application/octet-stream")

            def _answer(
                self, code: int, body: bytes, kind: str, headers: Optional[List[Tuple[str, str]]] = None
            ) -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers or []:
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # pylint: disable=redefined-builtin
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def reference(self) -> str:
        """The image."""
        return f"docker://127.0.0.1:{self._server.server_address[1]}/some/os:1"

    def close(self) -> None:
        """Lets everybody go."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
