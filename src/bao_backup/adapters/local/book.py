"""The documents of the embedded manager: the last valid one of each cluster stays in force."""

from __future__ import annotations

from collections import Counter
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
        before: what was in force before a restart: uid -> namespace, name and document, if any.
    """

    def __init__(
        self,
        check: Callable[[OpenBaoCluster], object],
        before: Mapping[str, tuple[str, str, Mapping[str, Any] | None]],
    ) -> None:
        self._check = check
        #: By uid.
        self.entries = {uid: self._from_before(*known) for uid, known in before.items()}
        #: What is wrong with files, rather than with one cluster.
        self.complaints: tuple[str, ...] = ()

    def replace(self, contents: Iterable[Mapping[str, Any]], complaints: Iterable[str]) -> set[str]:
        """Take in all documents as they are now; answers with the clusters that changed.

        Where a file could not be read at all (`complaints`), the clusters that are missing now may
        have been in it: they stay in force, with the complaint as their problem.
        """
        before = self.entries
        ours = [content for content in contents if content.get("kind") == CLUSTER_KIND]
        named = [content for content in ours if _names(content)[1]]
        nameless = [f"a document of kind {CLUSTER_KIND} has no metadata.name"] * (len(named) < len(ours))
        self.complaints = (*complaints, *nameless)
        entries: dict[str, Entry] = {}
        times = Counter(_names(content) for content in named)
        for content in named:
            uid, entry = self._read(content, before, alone=times[_names(content)] == 1)
            entries[uid] = entry
        if self.complaints:
            problems = tuple(Problem("file", complaint) for complaint in self.complaints)
            for uid in before.keys() - entries.keys():
                entries[uid] = before[uid]._replace(problems=problems)
        self.entries = entries
        uids = before.keys() | entries.keys()
        return {uid for uid in uids if before.get(uid) != entries.get(uid)}

    def _read(
        self, content: Mapping[str, Any], before: Mapping[str, Entry], *, alone: bool
    ) -> tuple[str, Entry]:
        """The cluster's uid and entry, by the newest text, or by the last that was valid."""
        namespace, name = _names(content)
        problems: tuple[Problem, ...]
        try:
            document = self._parse(content)
        except DocumentError as error:
            problems = error.problems
        except ConfigurationError as error:
            problems = (Problem("spec", error.why),)
        else:
            if alone:
                return document.identity, Entry(namespace, name, document, content)
            problems = ()
        if not alone:
            words = f"expected one document of {namespace}/{name}, and there are more"
            problems = (Problem("metadata.name", words),)
        for uid, last in before.items():
            if (last.namespace, last.name) == (namespace, name):
                return uid, last._replace(problems=problems)
        return f"{namespace}/{name}", Entry(namespace, name, None, None, problems)

    def _from_before(self, namespace: str, name: str, content: Mapping[str, Any] | None) -> Entry:
        if content is None:
            return Entry(namespace, name, None, None)
        try:
            return Entry(namespace, name, self._parse(content), content)
        except ConfigurationError:  # it was valid for an older version of this program
            return Entry(namespace, name, None, None)

    def _parse(self, content: Mapping[str, Any]) -> OpenBaoCluster:
        document = parse_cluster(content, strict=True)
        self._check(document)
        return document


def _names(content: Mapping[str, Any]) -> tuple[str, str]:
    metadata = content.get("metadata")
    found = metadata if isinstance(metadata, Mapping) else {}
    return str(found.get("namespace") or "default"), str(found.get("name") or "")
