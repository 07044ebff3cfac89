"""``sealstone.deploy-plan/1``: what a verb would do, before it does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, List, Mapping, Optional

from .deployments import BoundImage, Conflict, Record, Removed
from .fields import at
from .report import Report


@dataclass(frozen=True)
class LoaderFile(Report):
    """A program of the boot loader that is written."""

    place: str
    path: str
    #: The version that it takes the place of.
    before: Optional[str] = None


@dataclass(frozen=True)
class LoaderPlan(Report):
    """What of the boot loader is written."""

    kind: str
    version: Optional[str] = None
    written: List[LoaderFile] = field(default_factory=list)


@dataclass(frozen=True)
class EtcChange(Report):
    """What the machine changed in its ``/etc``."""

    path: str
    #: ``added``, ``modified`` or ``removed``.
    change: str
    what: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ignored(Report):
    """What of ``/etc`` does not come along."""

    path: str
    why: str = at("is")


@dataclass(frozen=True)
class EtcPlan(Report):
    """What becomes of ``/etc``."""

    mount: str
    #: The deployment whose changes come along.
    from_: Optional[str] = at("from", default=None)
    changes: List[EtcChange] = field(default_factory=list)
    conflicts: List[Conflict] = field(default_factory=list)
    ignored: List[Ignored] = field(default_factory=list)
    unused_overlays: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class VarPlan(Report):
    """What becomes of ``/var``."""

    mount: str
    is_made: bool
    unused_overlays: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class ImageStorePlan(Report):
    """How the bound images are shown to podman."""

    #: ``reflink`` or ``copy``.
    how: str
    images: int
    layers: int
    files: int
    content_bytes: int
    bytes: int
    #: What missing layers will take in the repository.
    object_bytes: Optional[int] = None
    #: Whether images are still to be fetched, of which only manifests are known.
    is_estimate: bool = False
    #: What of both sums goes beyond the layers' blobs.
    guessed_bytes: Optional[int] = None


@dataclass(frozen=True)
class Room(Report):
    """Bytes and inodes of a file system."""

    place: str
    needed: int
    free: int
    freed: int
    inodes_needed: int
    inodes_free: int
    #: What of :attr:`needed` is a guess; too little room for that refuses nothing.
    guessed: Optional[int] = None


@dataclass(frozen=True)
class DeployPlan(Report):
    """``sealstone.deploy-plan/1``."""

    SCHEMA: ClassVar[str] = "sealstone.deploy-plan/1"

    version: int
    #: What the plan was made for; it is refused for anything else.
    world: str
    #: What each step does, as the document has it.
    steps: List[Mapping[str, Any]]
    #: The record of what is made, as it will be.
    deployment: Optional[Record] = None
    #: Those of others that change.
    rewritten: List[Record] = field(default_factory=list)
    added: List[str] = at("deployments.added", default_factory=list)
    kept: List[str] = at("deployments.kept", default_factory=list)
    removed: List[Removed] = at("deployments.pruned", default_factory=list)
    entries_added: List[str] = at("entries.added", default_factory=list)
    entries_kept: List[str] = at("entries.kept", default_factory=list)
    entries_removed: List[str] = at("entries.removed", default_factory=list)
    loader: Optional[LoaderPlan] = None
    kargs_before: List[str] = at("kargs.before", default_factory=list)
    kargs_after: List[str] = at("kargs.after", default_factory=list)
    etc: Optional[EtcPlan] = None
    var: Optional[VarPlan] = None
    bound: List[BoundImage] = field(default_factory=list)
    image_store: Optional[ImageStorePlan] = None
    fetch_bytes: int = at("fetch.bytes", default=0)
    fetch_layers: int = at("fetch.layers", default=0)
    room: List[Room] = field(default_factory=list)
    #: Bytes that cannot be kept free, of those that shall be.
    missed_free: Optional[int] = None
    warnings: List[str] = field(default_factory=list)
    #: Why doing it would be refused.
    refused: Optional[str] = None
