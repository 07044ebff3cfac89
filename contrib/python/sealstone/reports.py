"""The command's documents (docs/json.md) as dataclasses.

Each has a field for every key that the document's version had when this was written, and all of the document, as it came, in
:attr:`Report.document`. Within a schema's version keys are only added, so what is not known here is not an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, List, Mapping, Optional

from .deployments import Conflict, Deployment, Freed, Removed
from .fields import at
from .report import Report


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
    blob: Optional[str] = None
    blob_bytes: int = 0
    #: Bytes that were here already, of a layer that was fetched in part.
    reused_bytes: int = 0
    partial: bool = False
    #: Why it was fetched whole.
    whole_because: Optional[str] = None
    tar_bytes: int = 0
    entries: int = 0
    new_objects: int = 0
    shared_objects: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Finding(Report):
    """What of an image is not as it should be."""

    #: ``normalised``, ``warned`` or ``refused``.
    verdict: str
    kind: str
    count: int
    paths: List[str]
    reason: str
    #: None where it is about a document.
    layer: Optional[str] = None


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
    #: Whether the manifest was written here, since the source has none.
    manifest_made: bool = False
    profile: Optional[str] = None
    new_objects: int = 0
    shared_objects: int = 0
    shared_bytes: int = 0
    layers_seconds: float = 0.0
    merge_seconds: float = 0.0
    sync_seconds: float = 0.0
    #: By stage: ``read``, ``decompress``, ``digest``, ``write``.
    processor_seconds: Optional[Mapping[str, float]] = None
    findings: List[Finding] = field(default_factory=list)
    findings_omitted: int = 0


@dataclass(frozen=True)
class DeployReport(Report):
    """``sealstone.deploy/1``."""

    SCHEMA: ClassVar[str] = "sealstone.deploy/1"

    deployment: Deployment
    steps: int
    seconds: float
    #: Deployments that went.
    removed: List[Removed] = field(default_factory=list)
    #: What machine and image both changed, and who won.
    conflicts: List[Conflict] = field(default_factory=list)
    #: What gc removed, if it was asked for.
    freed: Optional[Freed] = None
    files: int = 0
    bytes: int = 0
    #: Files that could not get their owner, attributes or kind, without root.
    without_owner: int = 0
    without_attributes: int = 0
    without_node: int = 0


@dataclass(frozen=True)
class Span(Report):
    """A partition: where it is on the disk, in bytes."""

    start: int
    size: int


@dataclass(frozen=True)
class Luks(Report):
    """The LUKS2 volume of a root."""

    uuid: str
    #: ``tpm2``, ``key-file`` or ``key-file+tpm2``.
    unlock: str


@dataclass(frozen=True)
class InstalledDisk(Report):
    """A disk that was made."""

    format: str
    size: int
    sector: int
    esp: Span
    root: Span
    id: str
    root_uuid: str
    filesystem: str
    used: int
    #: Files with fs-verity, of a disk in a file.
    sealed: Optional[int] = None
    luks: Optional[Luks] = None


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
    #: Where a disk was made.
    disk: Optional[InstalledDisk] = None
    files: int = 0
    bytes: int = 0
    without_owner: int = 0
    without_attributes: int = 0
    without_node: int = 0


@dataclass(frozen=True)
class LayerOffer(Report):
    """One layer of what is available."""

    diff_id: str
    blob_bytes: int
    bytes_to_fetch: int
    present: bool


@dataclass(frozen=True)
class BoundOffer(Report):
    """A bound image of what is available."""

    unit: str
    reference: str
    #: None where it could not be asked for.
    manifest: Optional[str] = None
    #: None where it is unknown until it is downloaded.
    bytes: Optional[int] = None
    #: Whether its tag leads elsewhere than it did.
    moved: bool = False


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
    #: Whether it can be less than :attr:`bytes_to_fetch`.
    is_at_most: bool = False
    #: The deployment that an update would follow on.
    deployment: Optional[str] = None
    current_manifest: Optional[str] = at("current.manifest", default=None)
    current_version: Optional[str] = at("current.version", default=None)
    current_resolved: Optional[str] = at("current.resolved", default=None)
    current_config: Optional[str] = at("current.config", default=None)
    current_created: Optional[str] = at("current.created", default=None)
    available_resolved: Optional[str] = at("available.resolved", default=None)
    available_config: Optional[str] = at("available.config", default=None)
    available_created: Optional[str] = at("available.created", default=None)
    layers: List[LayerOffer] = field(default_factory=list)
    bound: List[BoundOffer] = field(default_factory=list)
    #: How it is known which images are bound: ``image``, ``annotation``, ``layers`` or ``chunked``.
    bound_source: Optional[str] = None


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
    fetched_layers: int = 0
    #: Deployments that went.
    removed: List[Removed] = field(default_factory=list)
    #: What machine and image both changed, and who won.
    conflicts: List[Conflict] = field(default_factory=list)
    #: What gc removed, if it was asked for.
    freed: Optional[Freed] = None


@dataclass(frozen=True)
class Loader(Report):
    """A boot loader's program on a boot partition."""

    path: str
    size: int
    sha256: Optional[str] = None
    version: Optional[str] = None


@dataclass(frozen=True)
class BootEntry(Report):
    """A boot entry of ours."""

    name: str
    deployment: Optional[str] = None
    tries_left: Optional[int] = at("tries.left", default=None)
    tries_done: Optional[int] = at("tries.done", default=None)
    #: What is wrong with it.
    wrong: Optional[str] = None


@dataclass(frozen=True)
class BootPartition(Report):
    """A boot partition."""

    place: str
    #: ``esp``, ``xbootldr``, ``boot`` or ``loader``.
    role: str
    #: Why it cannot be read.
    failed: Optional[str] = None
    size: Optional[int] = None
    free: Optional[int] = None
    loaders: List[Loader] = field(default_factory=list)
    entries: List[BootEntry] = field(default_factory=list)
    #: Entries of others: name and title.
    foreign: List[List[str]] = field(default_factory=list)
    #: What it lacks that another one has.
    drift: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class BrokenRecord(Report):
    """A record that cannot be read."""

    file: str
    reason: str


@dataclass(frozen=True)
class StagedByBootc(Report):
    """What bootc staged."""

    id: str
    locked: bool


@dataclass(frozen=True)
class StatusReport(Report):
    """``sealstone.status/1``: deployments in the order of the boot menu."""

    SCHEMA: ClassVar[str] = "sealstone.status/1"

    deployments: List[Deployment]
    #: The deployment that boots next.
    next: Optional[str] = at("next.deployment", default=None)
    #: ``menu``, ``queued`` or ``staged``.
    next_how: Optional[str] = at("next.how", default=None)
    #: What should have booted and did not, and why.
    fallback: Optional[str] = at("fallback.deployment", default=None)
    fallback_reason: Optional[str] = at("fallback.reason", default=None)
    #: The entry that the next boot takes, once.
    once_entry: Optional[str] = at("once.entry", default=None)
    once: Optional[str] = at("once.deployment", default=None)
    version: Optional[int] = None
    boot_loader: Optional[str] = None
    esps: List[BootPartition] = field(default_factory=list)
    broken_records: List[BrokenRecord] = field(default_factory=list)
    #: Deployments of bootc that stay bootc's.
    unadopted: List[Removed] = field(default_factory=list)
    staged_by_bootc: Optional[StagedByBootc] = None
    #: Folders of state that are nobody's.
    foreign_states: List[str] = field(default_factory=list)

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
    #: The digest that the reference led to.
    named: Optional[str] = None
    artifact_type: Optional[str] = None
    blob_bytes: int = 0
    media_type: Optional[str] = None
    #: How it was compressed.
    unpacked: Optional[str] = None
    resumed_bytes: int = 0
    disk_format: Optional[str] = None
    platform: Optional[str] = None


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
    #: None where the image counts in no sectors of its own.
    sector_bytes: Optional[int] = None
