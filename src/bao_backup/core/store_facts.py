"""What a store tells of itself: what it keeps beside the newest version, and what it removes by itself."""

from __future__ import annotations

from enum import StrEnum

from bao_backup.core.model import Value


class Unseen(StrEnum):
    """Why a fact is not known."""

    #: The identity may not ask for it.
    NOT_PERMITTED = "NotPermitted"
    #: The store has no such thing, or none that can be asked for.
    NOT_OFFERED = "NotOffered"


class ExpiryRule(Value, frozen=True, kw_only=True):
    """A rule of the store that removes objects, or unfinished uploads, by their age."""

    id: str = ""
    #: What the keys of its objects begin with; empty: every object.
    prefix: str = ""
    days: int
    #: It takes only those of some tags, sizes or classes.
    conditional: bool = False


class StoreFacts(Value, frozen=True, kw_only=True):
    """One bucket, container or folder, as it answers now."""

    #: Whether what is deleted or replaced stays as an old version.
    versioning: bool | Unseen = Unseen.NOT_OFFERED
    #: Whether objects can be locked.
    lock: bool | Unseen = Unseen.NOT_OFFERED
    #: How the store itself locks each new object, in words; empty: it does not.
    lock_default: str = ""
    #: What removes the newest version of objects.
    lifecycle: tuple[ExpiryRule, ...] | Unseen = Unseen.NOT_OFFERED
    #: What removes that which unfinished uploads left.
    abandoned: tuple[ExpiryRule, ...] | Unseen = Unseen.NOT_OFFERED
    #: How new objects are encrypted where the upload asks for nothing, in words; empty: they are not.
    encryption: str | Unseen = Unseen.NOT_OFFERED
    #: Free bytes; None: nobody counts them.
    free: int | None = None
    #: Whose it is and who may use it, in words; a folder's.
    access: str = ""
