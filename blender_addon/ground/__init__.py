"""What everything in the add-on stands on. Knows nothing of jobs, pictures or the backend."""
