"""The HTML door: pages rendered on the server, htmx where a whole new page would be in the way."""

from assay.web.door import register

__all__ = ["register"]
