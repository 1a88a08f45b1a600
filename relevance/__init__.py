"""The words of query-item relevance: domain values, definitions, file formats and measures.

Every other package rests on this one; it knows no framework, store or wire.
"""
