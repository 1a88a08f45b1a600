"""What bundles cost: `ellm bench export` measures encoders, MaxSim and item codecs side by side."""
