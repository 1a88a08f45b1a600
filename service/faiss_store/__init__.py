"""Item token embeddings held by FAISS instead of an arena: exact bytes, or product-quantised."""
