"""Mail: written down in the transaction that has a reason for it, delivered in the background."""

from assay_tenants.mailing.post import Post, configure, link_to, post
from assay_tenants.mailing.service import count_since, is_address, quoted, send

__all__ = ["Post", "configure", "count_since", "is_address", "link_to", "post", "quoted", "send"]
