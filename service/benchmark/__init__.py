"""Processes that `ellm bench service` measures beside the service: its parts, and bare HTTP."""
