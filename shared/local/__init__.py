"""The product on one machine: the same handlers, fed with the same events, over servers from packages."""
