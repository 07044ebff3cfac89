"""What several documents say of deployments: records, what is bound to them, what of ``/etc`` is in conflict, what goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping, Optional

from .fields import at
from .report import Report


@dataclass(frozen=True)
class Karg(Report):
    """A kernel argument, and who wants it."""

    karg: str
    #: ``caller``, ``image``, ``install`` or ``source``.
    origin: str
    #: The file of the image that has it.
    file: Optional[str] = None
    #: The name of the source.
    name: Optional[str] = None


@dataclass(frozen=True)
class BoundImage(Report):
    """A container image that is bound to a system."""

    unit: str
    #: As the unit names it.
    reference: str
    manifest: str
    resolved: Optional[str] = None
    config: Optional[str] = None
    #: Bytes of its layers, where they are known.
    bytes: Optional[int] = None


@dataclass(frozen=True)
class Addon(Report):
    """An addon of a unified kernel image."""

    name: str
    object: str
    size: int


@dataclass(frozen=True)
class UnifiedKernel(Report):
    """A unified kernel image that a deployment boots by."""

    file: str
    object: str
    addons: List[Addon] = field(default_factory=list)


@dataclass(frozen=True)
class Overlay(Report):
    """Files of the machine that are laid over an image's."""

    name: str
    diff_id: str


@dataclass(frozen=True)
class EtcRule(Report):
    """What is done about a conflict in ``/etc``."""

    strategy: str
    #: None for all of it.
    path: Optional[str] = None


@dataclass(frozen=True)
class Conflict(Report):
    """A path of ``/etc`` that machine and image both changed."""

    path: str
    kind: str
    reason: str
    #: What was done: ``keep-local``, ``take-image`` or ``fail``.
    resolved: str


@dataclass(frozen=True)
class Removed(Report):
    """A deployment that goes, or that is left alone, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Freed(Report):
    """What gc removed."""

    objects: int
    bytes: int


@dataclass(frozen=True)
class Condition(Report):
    """Whether what is bound is there."""

    #: ``complete`` or ``missing``.
    name: str = at("is")
    reasons: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class DiskUse(Report):
    """What a deployment takes of the disk."""

    own_bytes: int
    shared_bytes: int
    state_bytes: int
    image_store_bytes: int


@dataclass(frozen=True)
class Record(Report):
    """What is recorded of a deployment."""

    id: str
    #: ``making``, ``staged`` or ``deployed``.
    state: str
    reference: str = at("image.reference")
    manifest: str = at("image.manifest")
    title: str = at("os.title")
    kernel: str = at("kernel.version")
    version: Optional[str] = at("os.version", default=None)
    pinned: bool = False
    #: Downloaded, and not finalised before somebody asks for it.
    locked: bool = False
    #: Why it does not boot any more.
    broken: Optional[str] = None
    #: Why it could not be finalised at the last shutdown.
    unfinalised: Optional[str] = None
    record_version: Optional[int] = at("version", default=None)
    serial: Optional[int] = None
    order: Optional[int] = None
    time: Optional[int] = None
    resolved: Optional[str] = at("image.resolved", default=None)
    config: Optional[str] = at("image.config", default=None)
    image: Optional[str] = at("image.id", default=None)
    profile: Optional[str] = at("image.profile", default=None)
    verity: Optional[str] = at("image.verity", default=None)
    os_id: Optional[str] = at("os.id", default=None)
    kernel_digest: Optional[str] = at("kernel.digest", default=None)
    vmlinuz_bytes: Optional[int] = at("kernel.vmlinuz", default=None)
    initramfs_bytes: Optional[int] = at("kernel.initramfs", default=None)
    #: Where bootc put the kernel, of a deployment of bootc's.
    of_bootc: Optional[Mapping[str, Any]] = at("kernel.of_bootc", default=None)
    uki: Optional[UnifiedKernel] = at("kernel.uki", default=None)
    kargs: List[Karg] = field(default_factory=list)
    #: Arguments of the image that are taken away.
    karg_deletes: List[str] = field(default_factory=list)
    bound: List[BoundImage] = field(default_factory=list)
    etc_rules: List[EtcRule] = at("etc.rules", default_factory=list)
    overlays: List[Overlay] = field(default_factory=list)
    #: How often the boot loader tries it.
    tries: Optional[int] = None
    #: Who boots it, if that was asked for.
    boot_loader: Optional[str] = None


@dataclass(frozen=True)
class Deployment(Record):
    """A deployment as it is now: its record, and what was found when it was looked at."""

    #: ``good``, or why it cannot boot is in :attr:`reasons`.
    health: str = at("health.is", default="unknown")
    #: Also what of a good one is lost.
    reasons: List[str] = at("health.reasons", default_factory=list)
    #: ``default``, ``rollback`` or ``other``, where it is in the menu.
    place: Optional[str] = None
    booted: bool = False
    #: Whether bootc made it, and nothing of ours changed it yet.
    adopted: bool = False
    #: Of the images that are bound to it.
    bound_condition: Optional[Condition] = None
    disk: Optional[DiskUse] = None
    architecture: Optional[str] = None
    created: Optional[str] = None

    @property
    def is_good(self) -> bool:
        """Whether it can boot."""
        return self.health == "good"
