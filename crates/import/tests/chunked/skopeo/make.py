#!/usr/bin/env python3
# Two images of one layer, uncompressed, in an OCI layout: `old`, and `new` with one file changed, one added, one gone.
import hashlib, io, json, os, sys, tarfile
out = sys.argv[1]
os.makedirs(f"{out}/blobs/sha256", exist_ok=True)

def noise(size, seed):
    data, state = b"", seed.to_bytes(8, "big")
    while len(data) < size:
        state = hashlib.sha256(state).digest()
        data += state
    return data[:size]

def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{out}/blobs/sha256/{digest}", "wb").write(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

def layer(files):
    raw = io.BytesIO()
    tar = tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT)
    def add(name, kind=tarfile.REGTYPE, body=b"", link="", pax={}):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.mtime, info.linkname, info.pax_headers = kind, len(body), 1700000000, link, pax
        info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
        tar.addfile(info, io.BytesIO(body))
    add("usr", tarfile.DIRTYPE)
    for name, body in files: add(f"usr/{name}", body=body)
    add("usr/empty")
    add("usr/link", tarfile.SYMTYPE, link="kept")
    add("usr/hard", tarfile.LNKTYPE, link="usr/kept")
    add("usr/" + "long/" * 30 + "name", body=noise(700, 9))
    add("usr/attributes", body=b"tiny", pax={"SCHILY.xattr.user.test": "value", "mtime": "1700000000.5"})
    add("usr/caf\u00e9", body=noise(300, 10))
    tar.close()
    return raw.getvalue()

# Compresses well, and is cut into several chunks.
common = noise(1800, 1).hex().encode()
big = b"".join(noise(200, 100 + number).hex().encode() + common for number in range(50))
sparse = noise(3000, 2) + bytes(40_000) + noise(3000, 3)
versions = {
    "old": [("kept", noise(9000, 4)), ("changed", noise(5000, 5)), ("gone", noise(2000, 6)), ("zeros", sparse), ("big", big)],
    "new": [("kept", noise(9000, 4)), ("changed", noise(5000, 7)), ("added", noise(2500, 8)), ("zeros", sparse), ("big", big)],
}
manifests = []
for name, files in versions.items():
    tar = layer(files)
    described = blob(tar, "layer.v1.tar")
    config = blob(json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": [described["digest"]]}}).encode(), "config.v1+json")
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [described]}).encode(), "manifest.v1+json")
    manifests.append(manifest | {"annotations": {"org.opencontainers.image.ref.name": name}})
json.dump({"schemaVersion": 2, "manifests": manifests}, open(f"{out}/index.json", "w"))
open(f"{out}/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
