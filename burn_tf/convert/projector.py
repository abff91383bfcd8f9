"""What networks trained by contrast have in common: MoCo v2's head, and extras of its training."""

from __future__ import annotations

from burn_tf._checks import UserError
from burn_tf.convert.request import Request
from burn_tf.convert.rules import Plan, Table, dense
from burn_tf.layers import mlp_head

_EXTRAS = ("encoder_k.", "queue", "optimizer.")
_OUTPUTS = 128


def refuse_top(request: Request) -> None:
    """Refuse `include_top=True` for a network that never had classes."""
    if request.include_top:
        raise UserError(
            "`include_top` must be False or None for a network that was trained without labels. "
            f"Received: {request.include_top}"
        )


def add_projector(request: Request, plan: Plan, prefix: str, features: int) -> None:
    """Add MoCo v2's projection head, Dense - ReLU - Dense, of the tensors under `prefix`."""
    hidden = request.shape(f"{prefix}.0.weight", (features, features))[0]
    outputs = request.shape(f"{prefix}.2.weight", (_OUTPUTS, hidden))[0]
    head = mlp_head(features, [hidden], outputs, norm="none", name="projector")
    plan.heads["projector"] = head
    plan.tables.append(
        Table(head, (dense("hidden_0", f"{prefix}.0"), dense("output", f"{prefix}.2")))
    )


def contrastive_extras(request: Request) -> list[str]:
    """What MoCo's training keeps beside the query encoder: key encoder, queue, optimizer."""
    return [name for name in request.tensors if name.startswith(_EXTRAS)]
