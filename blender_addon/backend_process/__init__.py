"""The backend as a process of this machine: its environment, its start, its end."""
