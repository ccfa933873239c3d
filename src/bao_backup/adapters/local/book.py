"""The documents of the embedded manager: the last valid one of each cluster stays in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bao_backup.core.errors import ConfigurationError, DocumentError, Problem
from bao_backup.core.spec import CLUSTER_KIND, OpenBaoCluster, parse_cluster


class Entry(NamedTuple):
    """A cluster's document, and what is wrong with its newest text."""

    namespace: str
    name: str
    #: The last valid one; None when there never was one.
    document: OpenBaoCluster | None
    #: That document as it was read, to remember it by.
    content: Mapping[str, Any] | None
    problems: tuple[Problem, ...] = ()


class Book:
    """All clusters that are configured now.

    Args:
        check: raises ConfigurationError for a valid document that no run can work with here.
        remembered: answers with the last valid document of a cluster, from before a restart.
    """

    def __init__(
        self,
        check: Callable[[OpenBaoCluster], object],
        remembered: Callable[[str, str], Mapping[str, Any] | None],
    ) -> None:
        self._check = check
        self._remembered = remembered
        self.entries: dict[str, Entry] = {}
        #: What is wrong with files, rather than with one cluster.
        self.complaints: tuple[str, ...] = ()

    def replace(self, contents: Iterable[Mapping[str, Any]], complaints: Iterable[str]) -> set[str]:
        """Take in all documents as they are now; answers with the clusters that changed.

        Where a file could not be read at all (`complaints`), the clusters that are missing now may
        have been in it: they stay in force, with the complaint as their problem.
        """
        before, self.complaints = self.entries, tuple(complaints)
        entries: dict[str, Entry] = {}
        for content in contents:
            if content.get("kind") == CLUSTER_KIND:
                uid, entry = self._read(content, before)
                if uid in entries:
                    problem = Problem("metadata.name", f"expected one document of {uid}, and there are more")
                    entry = entries[uid]._replace(problems=(problem,))
                entries[uid] = entry
        if self.complaints:
            problems = tuple(Problem("file", complaint) for complaint in self.complaints)
            for uid in before.keys() - entries.keys():
                entries[uid] = before[uid]._replace(problems=problems)
        self.entries = entries
        uids = before.keys() | entries.keys()
        return {uid for uid in uids if before.get(uid) != entries.get(uid)}

    def _read(self, content: Mapping[str, Any], before: Mapping[str, Entry]) -> tuple[str, Entry]:
        try:
            document = parse_cluster(content, strict=True)
            self._check(document)
        except DocumentError as error:
            problems = error.problems
        except ConfigurationError as error:
            problems = (Problem("spec", error.why),)
        else:
            entry = Entry(document.metadata.namespace, document.metadata.name, document, content)
            return document.identity, entry
        namespace, name, uid = _names(content)
        last = before.get(uid)
        if last is None and (content_before := self._remembered(namespace, name)) is not None:
            last = Entry(namespace, name, parse_cluster(content_before, strict=True), content_before)
        if last is None:
            last = Entry(namespace, name, None, None)
        return uid, last._replace(problems=problems)


def _names(content: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = content.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    namespace, name = str(found.get("namespace") or "default"), str(found.get("name") or "")
    return namespace, name, str(found.get("uid") or f"{namespace}/{name}")
