"""What the command does, as Python sees it. ``SEALSTONE_STORE=target/debug/store python3 -m unittest`` in contrib/python."""

from __future__ import annotations

import base64
import dataclasses
import os
import pickle
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import List

import sealstone
from sealstone import CancelToken, Registry, Secret, Started, Store, Totals
from sealstone.progress import Event

from . import fixtures

PROGRAM = os.environ.get("SEALSTONE_STORE", "store")


class Case(unittest.TestCase):
    """A folder, a repository, and a user without configuration."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.environment = {"HOME": folder.name, "PATH": os.environ.get("PATH", "")}
        self.store = Store(PROGRAM, repo=self.folder / "repo", environment=self.environment)

    def image(self, version: str = "12") -> str:
        """A layout with a bootable image."""
        fixtures.write_image(self.folder / "image", version)
        return f"oci:{self.folder / 'image'}"

    def raises(self, kind: "type[sealstone.SealstoneError]") -> "unittest.case._AssertRaisesContext[sealstone.SealstoneError]":
        """Exactly this exception."""
        return self.assertRaises(kind)


class Reports(Case):
    """Documents as dataclasses."""

    def test_an_image_is_imported_deployed_and_updated_with_reports_of_each(self) -> None:
        made = Store(PROGRAM, repo=self.folder / "sysroot" / "composefs", environment=self.environment)
        boot = self.folder / "sysroot" / "boot"
        boot.mkdir(parents=True)
        self.assertTrue(made.init(algorithm="sha512").created)
        self.assertFalse(made.init(algorithm="sha512").created)
        events: List[Event] = []
        imported = made.import_image(self.image("12"), name="os:12", progress=events.append)
        self.assertEqual((imported.name, len(imported.layers)), ("os:12", 1))
        self.assertEqual(imported.layers[0].origin, "imported")
        self.assertIsNotNone(imported.bootable)
        self.assertEqual(imported.document["schema"], "sealstone.import/1")
        self.assertTrue(any(isinstance(event, Started) and event.work == "import-layer" for event in events))
        sysroot = self.folder / "sysroot"
        plan = made.plan_deploy("os:12", sysroot=sysroot, esps=[boot], kargs=["quiet"])
        self.assertEqual((plan.kargs_after, plan.removed, plan.refused), (["quiet"], [], None))
        self.assertTrue(plan.steps and plan.room[0].needed > 0 and plan.deployment is not None)
        deployed = made.deploy("os:12", sysroot=sysroot, esps=[boot], kargs=["quiet"])
        self.assertEqual((deployed.deployment.kargs[0].karg, deployed.removed, deployed.conflicts), ("quiet", [], []))
        self.assertTrue(deployed.deployment.is_good)
        self.assertEqual(deployed.deployment.kernel, "6.12.0")
        status = made.status(sysroot=sysroot, esps=[boot])
        self.assertEqual(status.next, deployed.deployment.id)
        self.assertEqual([one.place for one in status.deployments], ["default"])
        self.assertIsNone(status.booted)

    def test_an_update_says_what_is_new_and_what_it_did(self) -> None:
        sysroot, reference = self.folder / "sysroot", self.image("12")
        boot = sysroot / "boot"
        boot.mkdir(parents=True)
        made = Store(PROGRAM, repo=sysroot / "composefs", environment=self.environment)
        made.init(algorithm="sha512")
        made.import_image(reference)
        made.deploy(reference, sysroot=sysroot, esps=[boot])
        self.assertEqual(made.check_update(sysroot=sysroot, esps=[boot]).verdict, "current")
        self.image("13")
        check = made.check_update(sysroot=sysroot, esps=[boot])
        self.assertEqual((check.verdict, check.changed), ("available", True))
        done = made.update(sysroot=sysroot, esps=[boot])
        self.assertEqual((done.outcome, done.manifest), ("deployed", check.available_manifest))
        self.assertEqual(len(made.status(sysroot=sysroot, esps=[boot]).deployments), 2)

    def test_an_artifact_is_fetched_and_a_disk_image_is_installed(self) -> None:
        disk = fixtures.partitioned_disk()
        manifest = fixtures.artifact_manifest(disk, "application/octet-stream")
        fixtures.write_layout(self.folder / "disk", manifest, [disk, b"{}"])
        reference, out = f"oci:{self.folder / 'disk'}", self.folder / "out"
        fetched = self.store.fetch_artifact(reference, out)
        self.assertEqual((fetched.file_bytes, out.read_bytes()), (len(disk), disk))
        totals = Totals()
        done = self.store.install_from_artifact(reference, self.folder / "disk.raw", progress=totals)
        self.assertEqual((self.folder / "disk.raw").read_bytes(), disk)
        self.assertEqual((done.format, done.disk_bytes), ("raw", len(disk)))
        self.assertEqual([(one.offset, one.kind) for one in done.partitions], [(1 << 20, "0x83")])
        self.assertEqual(totals.fraction, 1.0)
        with self.raises(sealstone.FailedError):
            self.store.install_from_artifact(reference, self.folder / "disk.raw")
        self.store.install_from_artifact(reference, self.folder / "disk.raw", wipe=True)

    def test_a_system_is_installed_into_folders_and_into_a_disk_image(self) -> None:
        root, reference = self.folder / "root", self.image("12")
        (root / "boot").mkdir(parents=True)
        store = Store(PROGRAM, environment=self.environment)
        done = store.install_to_filesystem(
            reference,
            root=root,
            esps=[root / "boot"],
            target_ref="docker://quay.io/example/os:1",
            kargs=["quiet"],
            root_mount_spec="LABEL=root",
        )
        self.assertTrue(done.deployment.is_good)
        self.assertEqual((done.reference, done.deployment.reference), ("docker://quay.io/example/os:1",) * 2)
        kargs = [one["karg"] for one in done.document["deployment"]["kargs"]]
        self.assertIn("root=LABEL=root", kargs)
        disk = self.folder / "disk.raw"
        made = store.install_to_disk(reference, disk, reserve_tail=64 << 20)
        self.assertTrue(made.deployment.is_good)
        self.assertEqual(disk.read_bytes()[510:512], b"\x55\xaa")
        with self.raises(sealstone.FailedError):
            store.install_to_disk(reference, disk)

    def test_reports_cannot_be_changed_and_keep_what_they_do_not_know(self) -> None:
        report = sealstone.InitReport.parse(
            {"schema": "sealstone.init/1", "repository": "/r", "created": True, "algorithm": "a", "verity": "v", "new": 1}
        )
        self.assertEqual(report.document["new"], 1)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            report.created = False  # type: ignore[misc]
        for wrong in ({"repository": "/r"}, {**report.document, "created": "yes"}):
            with self.raises(sealstone.ProtocolError):
                sealstone.InitReport.parse(wrong)


class Errors(Case):
    """Exit codes as exceptions."""

    def test_each_exit_code_is_an_exception_with_what_the_command_said(self) -> None:
        self.store.init()
        with self.raises(sealstone.UsageError) as raised:
            self.store.import_image("bare-name")
        self.assertIn("bare-name", raised.exception.message)
        self.assertIsNotNone(raised.exception.hint)
        with self.raises(sealstone.NotFoundError):
            self.store.import_image("oci:/nonexistent")
        with self.raises(sealstone.UnsupportedError):
            self.store.fetch_artifact(f"dir:{self.folder}", self.folder / "out")
        with self.raises(sealstone.NoSpaceError):
            self.store.call(["import", "--min-free=1000T", self.image()], "sealstone.import/1")
        with self.raises(sealstone.FailedError):
            self.store.deploy("os:1", sysroot=self.folder, esps=[])

    def test_bytes_that_are_not_what_they_should_be_are_not_trusted(self) -> None:
        self.store.init()
        tar = fixtures.write_image(self.folder / "image")
        blob = self.folder / "image" / "blobs" / "sha256" / fixtures.digest(tar)[len("sha256:") :]
        blob.write_bytes(tar[:-1] + b"x")
        with self.raises(sealstone.UntrustedError) as raised:
            self.store.import_image(f"oci:{self.folder / 'image'}")
        self.assertEqual(raised.exception.exit_code, 3)
        with self.raises(sealstone.UntrustedError):
            self.store.import_image(self.image(), require_digest=fixtures.digest(b"another"))

    def test_a_program_that_is_not_there_or_speaks_otherwise_is_told_apart(self) -> None:
        with self.raises(sealstone.NotInstalledError):
            Store(self.folder / "store").version()
        with self.raises(sealstone.NotInstalledError):
            Store(self.folder / "store").init()
        with self.raises(sealstone.ProtocolError):
            self.store.call(["init"], "sealstone.other/1")
        self.assertRegex(self.store.version(), r"^\d+\.\d+\.\d+")

    def test_a_reference_that_looks_like_a_flag_is_none(self) -> None:
        self.store.init()
        with self.raises(sealstone.UsageError) as raised:
            self.store.import_image("--name=x")
        self.assertIn("--name=x", raised.exception.message)


class Cancelling(Case):
    """From another thread, from the callback, and by an exception of the callback's."""

    def setUp(self) -> None:
        super().setUp()
        self.store.init()
        self.registry = fixtures.Registry(stalls=True)
        self.addCleanup(self.registry.close)
        self.plain = Registry(tls_verify=False)

    def test_a_call_that_hangs_is_cancelled_from_another_thread_and_leaves_nothing(self) -> None:
        cancel, began = CancelToken(), threading.Event()

        def note(event: Event) -> None:
            if isinstance(event, Started):
                began.set()

        def stop() -> None:
            began.wait(60)
            cancel.cancel()

        thread = threading.Thread(target=stop)
        thread.start()
        start = time.monotonic()
        with self.raises(sealstone.CancelledError) as raised:
            self.store.import_image(self.registry.reference, registry=self.plain, progress=note, cancel=cancel)
        thread.join()
        self.assertEqual(raised.exception.exit_code, 130)
        self.assertLess(time.monotonic() - start, 50)
        self.assertEqual(self.store.call(["images"], "sealstone.images/1")["images"], [])
        with self.raises(sealstone.CancelledError):
            self.store.import_image(self.image(), cancel=cancel)
        self.store.import_image(self.image())

    def test_what_the_callback_raises_ends_the_call_and_is_raised(self) -> None:
        def refuse(event: Event) -> None:
            raise RuntimeError(f"not {type(event).__name__}")

        with self.assertRaisesRegex(RuntimeError, "not "):
            self.store.import_image(self.registry.reference, registry=self.plain, progress=refuse)


class Secrets(Case):
    """Pull secrets that nobody else sees."""

    def test_a_pull_secret_of_either_form_opens_the_registry_and_is_seen_nowhere(self) -> None:
        opaque = base64.b64encode(b"me:open sesame").decode()
        registry = fixtures.Registry(authorization=f"Basic {opaque}")
        self.addCleanup(registry.close)
        self.store.init()
        with self.raises(sealstone.FailedError):
            self.store.import_image(registry.reference, registry=Registry(tls_verify=False))
        for number, text in enumerate(["me:open sesame", opaque]):
            secret = Secret(text)
            answer = self.store.import_image(
                registry.reference, name=f"os:{number}", registry=Registry(secret=secret, tls_verify=False)
            )
            self.assertEqual(answer.name, f"os:{number}")
            self.assertNotIn("sesame", repr(secret) + str(secret))
            with self.assertRaises(TypeError):
                pickle.dumps(secret)
        with self.raises(sealstone.FailedError) as raised:
            self.store.import_image(
                registry.reference, registry=Registry(secret=Secret("me:wrong-secret"), tls_verify=False)
            )
        self.assertNotIn("wrong-secret", raised.exception.message)
        for path in (self.folder).rglob("*"):
            if path.is_file():
                self.assertNotIn(b"sesame", path.read_bytes(), path)
        with self.assertRaises(ValueError):
            Secret("two\nlines")


if __name__ == "__main__":
    unittest.main()
