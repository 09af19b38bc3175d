"""Mail: written down in the transaction that has a reason for it, delivered in the background."""

from assay_tenants.mailing.post import Post, configure, current_post, link_to
from assay_tenants.mailing.service import count_since, is_address, quoted, send

__all__ = ["Post", "configure", "count_since", "current_post", "is_address", "link_to", "quoted", "send"]
