"""Every port in memory: for tests, and to try the orchestrator without a server.

They obey the same contract suites as the real adapters, so neither can drift from the other.
"""
