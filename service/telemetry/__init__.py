"""What the service tells about itself: metrics, log lines, traces; no query or item text."""
