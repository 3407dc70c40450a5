"""The PostgreSQL that travels along with Staffroom."""

from staffroom.database.embedded.server import EmbeddedServer, ServerStatus

__all__ = ["EmbeddedServer", "ServerStatus"]
