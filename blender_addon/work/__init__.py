"""What is done: jobs sent and followed, lists fetched, the server looked after; functions of the line."""
