"""Weights from elsewhere: PyTorch checkpoints of the papers' authors, and packed 1-bit files."""

from burn_tf.convert.binary_kernels import binary_weights
from burn_tf.convert.checkpoint import Checkpoint, read_checkpoint
from burn_tf.convert.conversion import Converted, convert_checkpoint
from burn_tf.convert.efficientnet_lite import installed_checkpoint
from burn_tf.convert.input_channels import adapt_input_channels
from burn_tf.convert.layouts import LAYOUTS, guess_layout
from burn_tf.convert.packed import (
    load_packed,
    load_packed_weights,
    packed_metadata,
    packed_size,
    save_packed,
)
from burn_tf.convert.safetensors import read_safetensors, safetensors_bytes
from burn_tf.convert.sizes import SizeSummary, summary

__all__ = [
    "LAYOUTS",
    "Checkpoint",
    "Converted",
    "SizeSummary",
    "adapt_input_channels",
    "binary_weights",
    "convert_checkpoint",
    "guess_layout",
    "installed_checkpoint",
    "load_packed",
    "load_packed_weights",
    "packed_metadata",
    "packed_size",
    "read_checkpoint",
    "read_safetensors",
    "safetensors_bytes",
    "save_packed",
    "summary",
]
