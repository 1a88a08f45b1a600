"""Serve: scores and explanations over HTTP, from item token embeddings made ahead of time.

No torch here: encoders and the scorer are ONNX graphs out of a bundle.
"""
