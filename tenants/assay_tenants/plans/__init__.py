"""Plans: what a tenant may use, and what it has used."""
