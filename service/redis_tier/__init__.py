"""Redis as the shared tier of item embeddings: records, bulk load, changes, replicas, a cache.

The hot path reads a local arena; Redis distributes, and serves what does not fit.
"""
