"""The inference backend: server, jobs, pipelines, geometry. Never imports bpy."""

__version__ = "0.1.0"

PROTOCOL_VERSION = 1
"""Version of the HTTP contract and of the handshake; raised when an older add-on could not follow."""
