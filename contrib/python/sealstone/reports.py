"""The command's documents (docs/json.md) as dataclasses.

Each has what a caller decides by; all of the document, as it came, is in :attr:`Report.document`. Within a schema's version keys
are only added, so what is not known here is not an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, List, Mapping, Optional, Type, TypeVar

from .fields import at, take

T = TypeVar("T", bound="Report")


@dataclass(frozen=True)
class Report:
    """What all of them have."""

    #: The schema of the document; empty for what is only a part of one.
    SCHEMA: ClassVar[str] = ""

    #: The whole document.
    document: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def parse(cls: Type[T], document: Mapping[str, Any]) -> T:
        """Takes the fields of a document; one that is missing has to have a default."""
        report: T = take(cls, document, document=document)
        return report


@dataclass(frozen=True)
class InitReport(Report):
    """``sealstone.init/1``."""

    SCHEMA: ClassVar[str] = "sealstone.init/1"

    repository: str
    created: bool
    algorithm: str
    verity: str


@dataclass(frozen=True)
class LayerReport(Report):
    """One layer of an import."""

    diff_id: str
    #: ``imported``, ``present`` or ``rebuilt``.
    origin: str
    fetched_bytes: int = 0
    new_bytes: int = 0
    shared_bytes: int = 0


@dataclass(frozen=True)
class ImportReport(Report):
    """``sealstone.import/1``."""

    SCHEMA: ClassVar[str] = "sealstone.import/1"

    name: str
    manifest: str
    config: str
    #: The image's id: the fs-verity digest of its whole tree.
    image: str
    #: That of the form which boots; None for an image without a kernel.
    bootable: Optional[str] = None
    layers: List[LayerReport] = field(default_factory=list)
    fetched_bytes: int = 0
    new_bytes: int = 0
    seconds: float = 0.0
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Deployment(Report):
    """One deployment, in several documents."""

    id: str
    state: str
    reference: str = at("image.reference")
    manifest: str = at("image.manifest")
    title: str = at("os.title")
    kernel: str = at("kernel.version")
    #: ``good``, or why it cannot boot is in :attr:`reasons`.
    health: str = at("health.is")
    reasons: List[str] = at("health.reasons", default_factory=list)
    version: Optional[str] = at("os.version", default=None)
    #: ``default``, ``rollback`` or ``other``, where it is in the menu.
    place: Optional[str] = None
    booted: bool = False
    pinned: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it can boot."""
        return self.health == "good"


@dataclass(frozen=True)
class DeployReport(Report):
    """``sealstone.deploy/1``."""

    SCHEMA: ClassVar[str] = "sealstone.deploy/1"

    deployment: Deployment
    steps: int
    seconds: float


@dataclass(frozen=True)
class InstallReport(Report):
    """``sealstone.install/1``."""

    SCHEMA: ClassVar[str] = "sealstone.install/1"

    #: What updates follow.
    reference: str
    #: Where the system is now.
    target: str
    deployment: Deployment
    #: Who guards the objects: ``required`` (the kernel), ``computed`` or ``offline``.
    verity: str
    fetched_bytes: int
    steps: int
    seconds: float
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class UpdateCheck(Report):
    """``sealstone.update-check/1``."""

    SCHEMA: ClassVar[str] = "sealstone.update-check/1"

    reference: str
    #: ``current``, ``available``, ``queued`` or ``withdrawn``.
    verdict: str
    #: Whether an update would do something.
    changed: bool
    bytes_to_fetch: int = 0
    available_manifest: Optional[str] = at("available.manifest", default=None)
    available_version: Optional[str] = at("available.version", default=None)
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class UpdateReport(Report):
    """``sealstone.update/1``."""

    SCHEMA: ClassVar[str] = "sealstone.update/1"

    #: ``current``, ``queued``, ``same-content``, ``withdrawn``, ``staged``, ``downloaded`` or ``deployed``.
    outcome: str
    fetched_bytes: int
    steps: int
    reboots: bool
    seconds: float
    deployment: Optional[str] = None
    reference: Optional[str] = None
    manifest: Optional[str] = None
    warnings: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class StatusReport(Report):
    """``sealstone.status/1``: deployments in the order of the boot menu."""

    SCHEMA: ClassVar[str] = "sealstone.status/1"

    deployments: List[Deployment]
    #: The deployment that boots next.
    next: Optional[str] = at("next.deployment", default=None)
    fallback_reason: Optional[str] = at("fallback.reason", default=None)

    @property
    def booted(self) -> Optional[Deployment]:
        """The one that runs."""
        return next((one for one in self.deployments if one.booted), None)


@dataclass(frozen=True)
class ArtifactReport(Report):
    """``sealstone.artifact/1``."""

    SCHEMA: ClassVar[str] = "sealstone.artifact/1"

    output: str
    manifest: str
    blob: str
    file_bytes: int
    read_bytes: int
    seconds: float
    title: Optional[str] = None
    disk_type: Optional[str] = None


@dataclass(frozen=True)
class Partition(Report):
    """One partition of a disk that was written."""

    number: int
    offset: int
    bytes: int
    kind: str
    name: str


@dataclass(frozen=True)
class DiskReport(Report):
    """``sealstone.disk-image/1``: an image that was written onto a disk."""

    SCHEMA: ClassVar[str] = "sealstone.disk-image/1"

    target: str
    manifest: str
    blob: str
    #: ``raw`` or ``qcow2``.
    format: str
    #: Bytes of the image's disk, and of the disk that it is on.
    disk_bytes: int
    target_bytes: int
    written_bytes: int
    read_bytes: int
    partitions: List[Partition]
    seconds: float
