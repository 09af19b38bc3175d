"""Connections: a tenant's accounts at other services, with their credentials sealed.

``create`` ``list_connections`` ``get_connection`` ``change`` ``disconnect``  for people
``credentials_of`` ``refreshing`` ``needs_reconnect``                         for the jobs that call the other service
``add_credentials``                                                           for those jobs, beside what is there
``replace_credentials``                                                       for both
"""

from assay_tenants.connections.credentials import (
    Credentials,
    NoCredentials,
    Refresh,
    RefreshUnderWay,
    add_credentials,
    credentials_of,
    needs_reconnect,
    refreshing,
    replace_credentials,
)
from assay_tenants.connections.service import (
    Changed,
    Connected,
    change,
    create,
    disconnect,
    get_connection,
    list_connections,
)

__all__ = [
    "Changed",
    "Connected",
    "Credentials",
    "NoCredentials",
    "Refresh",
    "RefreshUnderWay",
    "add_credentials",
    "change",
    "create",
    "credentials_of",
    "disconnect",
    "get_connection",
    "list_connections",
    "needs_reconnect",
    "refreshing",
    "replace_credentials",
]
