"""Records find their lead: identities, traits, companies, events, merging."""
