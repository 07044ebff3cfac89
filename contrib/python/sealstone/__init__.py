"""Sealstone for installers in Python: the command ``store``, its JSON as dataclasses, its exit codes as exceptions.

Nothing is implemented here that the command does not do: each method runs it once, and gives its one document. The package
needs nothing but Python 3.9 and the program.

>>> from sealstone import Store
>>> Store("/nonexistent/store").version()
Traceback (most recent call last):
    ...
sealstone.errors.NotInstalledError: there is no program /nonexistent/store
"""

from .errors import (
    BusyError,
    CancelledError,
    FailedError,
    NoSpaceError,
    NotFoundError,
    NotInstalledError,
    ProtocolError,
    SealstoneError,
    UnsupportedError,
    UntrustedError,
    UsageError,
)
from .progress import Advanced, Event, Finished, Skipped, Started, Totals, Warned
from .reports import (
    ArtifactReport,
    Deployment,
    DeployReport,
    DiskReport,
    ImportReport,
    InitReport,
    InstallReport,
    LayerReport,
    Partition,
    StatusReport,
    UpdateCheck,
    UpdateReport,
)
from .run import CancelToken
from .secret import Secret
from .store import Registry, Store

__all__ = [
    "Advanced",
    "ArtifactReport",
    "BusyError",
    "CancelToken",
    "CancelledError",
    "DeployReport",
    "Deployment",
    "DiskReport",
    "Event",
    "FailedError",
    "Finished",
    "ImportReport",
    "InitReport",
    "InstallReport",
    "LayerReport",
    "NoSpaceError",
    "NotFoundError",
    "NotInstalledError",
    "Partition",
    "ProtocolError",
    "Registry",
    "SealstoneError",
    "Secret",
    "Skipped",
    "Started",
    "StatusReport",
    "Store",
    "Totals",
    "UnsupportedError",
    "UntrustedError",
    "UpdateCheck",
    "UpdateReport",
    "UsageError",
    "Warned",
]
