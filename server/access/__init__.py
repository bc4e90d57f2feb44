"""Access control: authentication, limits and slow clients."""
