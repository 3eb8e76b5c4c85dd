"""Every scenario: a function that takes the programs under test, and fails or returns."""

from . import audit, consumers, headlamp, reload, restart, stranger_access, stranger_clusters, stranger_config, stranger_protocol, sync

SCENARIOS = {}
for module in (sync, audit, consumers, headlamp, reload, restart, stranger_config, stranger_clusters, stranger_access, stranger_protocol):
    SCENARIOS |= module.SCENARIOS
