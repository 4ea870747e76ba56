"""HTTP with the backend over non-blocking sockets, and the tasks that take turns."""
