"""The command as an object: one method a verb, its flags as arguments."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type, TypeVar, Union

from . import errors, plans, reports
from .report import Report
from .run import CancelToken, ProgressCallback, run
from .secret import Secret

PathLike = Union[str, "os.PathLike[str]"]

T = TypeVar("T", bound=Report)


@dataclass(frozen=True)
class Registry:
    """How registries are asked; by default as the machine is configured for podman."""

    #: A pull secret, which stays in memory.
    secret: Optional[Secret] = None
    #: A file with credentials.
    authfile: Optional[PathLike] = None
    #: A folder with certificates.
    cert_dir: Optional[PathLike] = None
    #: False takes any certificate, and plain http.
    tls_verify: Optional[bool] = None

    def arguments(self) -> List[str]:
        """As flags. The secret's has a place for a descriptor, which :func:`sealstone.run.run` fills."""
        flags: List[str] = []
        if self.secret is not None:
            flags.append("--pull-secret=fd:{secret}")
        if self.authfile is not None:
            flags.append(f"--authfile={os.fspath(self.authfile)}")
        if self.cert_dir is not None:
            flags.append(f"--cert-dir={os.fspath(self.cert_dir)}")
        if self.tls_verify is not None:
            flags.append(f"--tls-verify={'true' if self.tls_verify else 'false'}")
        return flags


class Store:
    """A program ``store``, and what all of its calls have in common.

    ``progress`` is called with each event, from another thread; ``cancel`` stops calls from any thread. Both can be given
    for all calls here, and for one call as its arguments of the same names.
    """

    def __init__(
        self,
        program: PathLike = "store",
        *,
        repo: Optional[PathLike] = None,
        registry: Registry = Registry(),
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._program = os.fspath(program)
        self._repo = repo
        self._registry = registry
        self._progress = progress
        self._cancel = cancel
        self._environment = environment

    def version(self) -> str:
        """The program's version."""
        try:
            done = subprocess.run([self._program, "--version"], check=True, capture_output=True, env=self._environment)
        except FileNotFoundError:
            raise errors.NotInstalledError(f"there is no program {self._program}") from None
        except (OSError, subprocess.CalledProcessError) as error:
            raise errors.NotInstalledError(str(error)) from None
        return done.stdout.decode().split()[-1]

    def call(
        self,
        verb: Sequence[str],
        schema: str,
        *,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
        registry: Optional[Registry] = None,
    ) -> Dict[str, Any]:
        """Runs any verb that has ``--json``; gives its document. For what has no method here."""
        command = [self._program, "--progress=json"]
        if self._repo is not None:
            command.append(f"--repo={os.fspath(self._repo)}")
        # What follows --, is no flag, whatever it looks like: verbs put places there.
        flags = ["--json", *(registry.arguments() if registry is not None else [])]
        at = verb.index("--") if "--" in verb else len(verb)
        command += [*verb[:at], *flags, *verb[at:]]
        return run(
            command,
            schema,
            callback=progress or self._progress,
            cancel=cancel or self._cancel,
            secret=registry.secret if registry is not None else None,
            environment=self._environment,
        )

    def _report(self, kind: Type[T], verb: Sequence[str], **more: Any) -> T:
        """Runs a verb; gives its document as a report."""
        return kind.parse(self.call(verb, kind.SCHEMA, **more))

    def _ask(
        self,
        kind: Type[T],
        verb: Sequence[str],
        registry: Optional[Registry],
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> T:
        """The same of a verb that may ask a registry."""
        return self._report(kind, verb, registry=registry or self._registry, progress=progress, cancel=cancel)

    def init(self, *, algorithm: Optional[str] = None, verity: Optional[str] = None) -> reports.InitReport:
        """Makes the repository; one that is there stays."""
        verb = ["init", *_flag("algorithm", algorithm), *_flag("verity", verity)]
        return self._report(reports.InitReport, verb)

    def import_image(
        self,
        reference: str,
        *,
        name: Optional[str] = None,
        require_digest: Optional[str] = None,
        platform: Optional[str] = None,
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.ImportReport:
        """Imports an image: verifies every byte, stores what is new."""
        verb = [
            "import",
            *_flag("name", name),
            *_flag("require-digest", require_digest),
            *_flag("platform", platform),
            "--",
            reference,
        ]
        return self._ask(reports.ImportReport, verb, registry, progress, cancel)

    def deploy(
        self,
        image: str,
        *,
        sysroot: PathLike,
        esps: Sequence[PathLike],
        kargs: Sequence[str] = (),
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.DeployReport:
        """Makes an image of the repository bootable. ``options`` are further flags, as ``["--hostname=web"]``."""
        verb = ["deploy", *_target(sysroot, esps), *_each("karg", kargs), *options, "--", image]
        return self._ask(reports.DeployReport, verb, registry, progress, cancel)

    def plan_deploy(
        self,
        image: str,
        *,
        sysroot: PathLike,
        esps: Sequence[PathLike],
        kargs: Sequence[str] = (),
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
    ) -> plans.DeployPlan:
        """What :meth:`deploy` would do; changes nothing. What would be refused is raised, as doing it would."""
        verb = ["deploy", "--dry-run", *_target(sysroot, esps), *_each("karg", kargs), *options, "--", image]
        return self._ask(plans.DeployPlan, verb, registry)

    def check_update(
        self, *, sysroot: PathLike, esps: Sequence[PathLike] = (), registry: Optional[Registry] = None
    ) -> reports.UpdateCheck:
        """Whether there is something new; fetches documents alone, and changes nothing."""
        verb = ["update", "--check", *_target(sysroot, esps)]
        return self._ask(reports.UpdateCheck, verb, registry)

    def update(
        self,
        *,
        sysroot: PathLike,
        esps: Sequence[PathLike],
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.UpdateReport:
        """Fetches what is new, and stages or deploys it."""
        verb = ["update", *_target(sysroot, esps), *options]
        return self._ask(reports.UpdateReport, verb, registry, progress, cancel)

    def status(self, *, sysroot: PathLike, esps: Sequence[PathLike] = ()) -> reports.StatusReport:
        """The deployments, and what boots next."""
        return self._report(reports.StatusReport, ["status", *_target(sysroot, esps)])

    def fetch_artifact(
        self,
        reference: str,
        output: PathLike,
        *,
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.ArtifactReport:
        """Fetches an artifact's file, verified and unpacked."""
        verb = ["artifact", "fetch", f"--output={os.fspath(output)}", *options, "--", reference]
        return self._ask(reports.ArtifactReport, verb, registry, progress, cancel)

    def install_to_filesystem(
        self,
        reference: str,
        *,
        root: PathLike,
        esps: Sequence[PathLike] = (),
        target_ref: Optional[str] = None,
        kargs: Sequence[str] = (),
        root_mount_spec: Optional[str] = None,
        boot_mount_spec: Optional[str] = None,
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.InstallReport:
        """Installs into folders that the caller partitioned and mounted. A mount spec of ``""`` gives no argument."""
        verb = [
            "install",
            "to-filesystem",
            f"--root={os.fspath(root)}",
            *_each("esp", esps),
            *_installed(target_ref, kargs, root_mount_spec, boot_mount_spec),
            *options,
            "--",
            reference,
        ]
        return self._ask(reports.InstallReport, verb, registry, progress, cancel)

    def install_to_disk(
        self,
        reference: str,
        target: PathLike,
        *,
        wipe: bool = False,
        filesystem: Optional[str] = None,
        image_size: Optional[str] = None,
        reserve_tail: Optional[int] = None,
        target_ref: Optional[str] = None,
        kargs: Sequence[str] = (),
        root_mount_spec: Optional[str] = None,
        boot_mount_spec: Optional[str] = None,
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.InstallReport:
        """Partitions a device, or makes a disk in a file, and installs there."""
        verb = [
            "install",
            "to-disk",
            *(["--wipe"] if wipe else []),
            *_flag("filesystem", filesystem),
            *_flag("image-size", image_size),
            *_flag("reserve-tail", None if reserve_tail is None else str(reserve_tail)),
            *_installed(target_ref, kargs, root_mount_spec, boot_mount_spec),
            *options,
            "--",
            os.fspath(target),
            reference,
        ]
        return self._ask(reports.InstallReport, verb, registry, progress, cancel)

    def install_from_artifact(
        self,
        reference: str,
        target: PathLike,
        *,
        wipe: bool = False,
        require_digest: Optional[str] = None,
        options: Sequence[str] = (),
        registry: Optional[Registry] = None,
        progress: Optional[ProgressCallback] = None,
        cancel: Optional[CancelToken] = None,
    ) -> reports.DiskReport:
        """Writes the whole-disk image that an artifact is, onto a device or into a file."""
        verb = [
            "install",
            "from-artifact",
            *(["--wipe"] if wipe else []),
            *_flag("require-digest", require_digest),
            *options,
            "--",
            reference,
            os.fspath(target),
        ]
        return self._ask(reports.DiskReport, verb, registry, progress, cancel)


def _flag(name: str, value: Optional[PathLike]) -> List[str]:
    return [] if value is None else [f"--{name}={os.fspath(value)}"]


def _each(name: str, values: Sequence[PathLike]) -> List[str]:
    return [f"--{name}={os.fspath(value)}" for value in values]


def _installed(
    target_ref: Optional[str], kargs: Sequence[str], root_mount_spec: Optional[str], boot_mount_spec: Optional[str]
) -> List[str]:
    return [
        *_flag("target-ref", target_ref),
        *_each("karg", kargs),
        *_flag("root-mount-spec", root_mount_spec),
        *_flag("boot-mount-spec", boot_mount_spec),
    ]


def _target(sysroot: PathLike, esps: Sequence[PathLike]) -> List[str]:
    return [*_flag("sysroot", sysroot), *_each("esp", esps)]
