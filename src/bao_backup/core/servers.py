"""`spec.connection`: the servers of a cluster that no operator manages, and whom to trust there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from bao_backup.core.connection import parse_address
from bao_backup.core.documents import Part, checked
from bao_backup.core.fields import check_folder, check_host, check_object_name, check_secret_key


class ServiceName(Part, frozen=True, kw_only=True):
    """A Kubernetes Service in front of all the servers."""

    name: Annotated[str, Meta(min_length=1), checked(check_object_name, "Name of the Service.")]
    namespace: Annotated[str, checked(check_object_name, "Its namespace; empty: that of the document.")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="Port of the API.")] = 8200


class CaSecret(Part, frozen=True, kw_only=True):
    """A Secret that holds a CA."""

    name: Annotated[str, Meta(min_length=1), checked(check_object_name, "Name of the Secret.")]
    key: Annotated[
        str, Meta(min_length=1, max_length=253), checked(check_secret_key, "Key with the CA, PEM.")
    ] = "ca.crt"


class Connection(Part, frozen=True, kw_only=True):
    """Where the servers are: either addresses or a Service."""

    addresses: Annotated[
        tuple[
            Annotated[str, Meta(min_length=1, max_length=512), checked(parse_address, "https://host:port")],
            ...,
        ],
        Meta(
            max_length=100,
            description="URLs of the servers; a name stands for all the addresses that it has.",
        ),
    ] = ()
    service: Annotated[ServiceName | None, Meta(description="Service of the servers.")] = None
    server_name: Annotated[
        str,
        Meta(max_length=253),
        checked(check_host, "Name that certificates must hold; empty: the host of the address."),
    ] = ""
    ca_secret_ref: Annotated[CaSecret | None, Meta(description="Secret with the CA to trust.")] = None
    ca_file: Annotated[
        str, Meta(max_length=4096), checked(check_folder, "Without Kubernetes: the file with the CA.")
    ] = ""

    def faults(self) -> Iterable[tuple[str, str]]:
        """One way to the servers, and at most one CA."""
        if bool(self.addresses) == (self.service is not None):
            yield "", "expected either addresses or service"
        if self.ca_secret_ref and self.ca_file:
            yield "caFile", "expected either caSecretRef or caFile"
