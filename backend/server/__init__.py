"""The jobs over HTTP, on this machine only. docs/api.md tells people what it takes and gives."""
