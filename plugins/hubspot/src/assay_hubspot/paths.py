"""HubSpot's addresses: the version of each family of its API stands here, and nowhere else.

A dated version is dropped 18 months after it appears: 2026-03 lasts until about September 2027. The families without a
dated version (e-mail events, form submissions, conversations) are those that HubSpot has not moved yet.
"""

OBJECTS = "/crm/objects/2026-03"
PROPERTIES = "/crm/properties/2026-03"
PIPELINES = "/crm/pipelines/2026-03"
ASSOCIATIONS = "/crm/associations/2026-03"
OAUTH = "/oauth/2026-03"
INSTALLATION = "/appinstalls/2026-03/external-install"
WEBHOOKS = "/webhooks/2026-03"
FORMS = "/marketing/v3/forms"
SUBMISSIONS = "/form-integrations/v1/submissions/forms"
EMAIL_EVENTS = "/email/public/v1/events"
THREADS = "/conversations/v3/conversations/threads"

API = "https://api.hubapi.com"
AUTHORIZE = "https://app.hubspot.com/oauth/authorize"
