"""The rerank APIs other servers made common, answered by the engine behind `/score`."""
