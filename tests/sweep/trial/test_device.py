"""The device: its arithmetic, and errors in which memory ran out."""

from __future__ import annotations

import pytest
import torch

from sweep.trial.device import out_of_memory, set_arithmetic


@pytest.fixture
def flags():
    """What GPUs may do, as it was before."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.deterministic
    yield
    cudnn, matmul, torch.backends.cudnn.deterministic = before
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn, matmul


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_tf32_is_a_choice_of_its_own_for_products_and_convolutions(flags, precision):
    for chosen, allowed in (("tf32", True), (precision, False)):
        set_arithmetic(chosen)
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.backends.cudnn.deterministic


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
        MemoryError(),
    ],
    ids=lambda error: str(error)[:40],
)
def test_memory_that_ran_out_is_known_by_its_exception_or_its_words(error):
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error", [torch.AcceleratorError("CUDA error: device-side assert triggered"), RuntimeError("no luck"), ValueError()]
)
def test_other_errors_are_not_of_memory(error):
    assert not out_of_memory(error)
