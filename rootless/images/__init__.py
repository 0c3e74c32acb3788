"""References, registry client, manifests, content store, archives."""
