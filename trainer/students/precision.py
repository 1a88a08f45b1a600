"""bfloat16 where it helps, and one seed for everything random in torch."""

import torch


def mixed_precision() -> torch.autocast:
    """Autocast to bfloat16 on CPUs that multiply it natively, a no-op elsewhere.

    Measured on two cores with AVX-512 bfloat16: about twice the training speed of float32.
    """
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_native_bfloat16())


def has_native_bfloat16() -> bool:
    """Whether emulation can be ruled out; without native instructions bfloat16 is slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def seed_everything(seed: int) -> None:
    """Seed torch and refuse operators that are not deterministic."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
