"""A recipe's choice of method: one class of options per method, named as its arguments are."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from burn_tf._checks import check_choice


@dataclasses.dataclass(frozen=True)
class MethodOptions:
    """Base: what a recipe must know of its method before it is built.

    Attributes:
        teacher: "backbone" where the method learns from a frozen teacher's features, "projector"
            or "classifier" where from what that head makes of them, "" where there is none.
        labels: whether it learns from labels.
        multicrop: whether views may be of several sizes.
        sees_pieces: whether the backbone also sees pieces of views.
        predicts: whether the method has a predictor.
        head: "projector" or "classifier", whichever is left beside the backbone for students to
            learn from; "" where neither is.
    """

    method: ClassVar[str]
    multicrop: ClassVar[bool] = False
    sees_pieces: ClassVar[bool] = False
    predicts: ClassVar[bool] = False
    head: ClassVar[str] = "projector"

    @property
    def teacher(self) -> str:
        return ""

    @property
    def labels(self) -> bool:
        return False


@dataclasses.dataclass(frozen=True)
class BURNOptions(MethodOptions):
    """Arguments of `burn_tf.methods.BURN`; each stage starts lambda(t) anew."""

    method = "BURN"
    head = ""
    num_outputs: int = 2000
    hidden_dim: int = 2000
    temperature: float = 0.2
    feature_loss: str = "cosine"
    feature_weight_start: float = 0.9
    feature_weight_end: float = 0.7
    feature_weight_kind: str = "cosine"
    kl_direction: str = "target_student"
    feature_projection: str = "linear"
    view_pairing: str = "same"
    restart_teacher_classifier: bool = False

    @property
    def teacher(self) -> str:
        return "backbone"


@dataclasses.dataclass(frozen=True)
class MSBRegOptions(MethodOptions):
    """Arguments of `burn_tf.methods.MSBReg`."""

    method = "MSBReg"
    multicrop = True
    predicts = True
    hidden_dim: int = 512
    embedding_dim: int = 128
    head_norm: str = "batch"
    singular_value_weight: float = 4e-3
    brownian_weight: float = 0.5
    ema_base: float = 0.99


@dataclasses.dataclass(frozen=True)
class BYOLOptions(MethodOptions):
    """Arguments of `burn_tf.methods.BYOL`."""

    method = "BYOL"
    multicrop = True
    predicts = True
    hidden_dim: int = 512
    embedding_dim: int = 128
    head_norm: str = "batch"
    ema_base: float = 0.99


@dataclasses.dataclass(frozen=True)
class MoCoV2Options(MethodOptions):
    """Arguments of `burn_tf.methods.MoCoV2`; `ema_decay` is constant."""

    method = "MoCoV2"
    hidden_dim: int = 2048
    embedding_dim: int = 128
    temperature: float = 0.2
    queue_size: int = 65_536
    ema_decay: float = 0.999
    symmetric: bool = False
    moving_statistics: bool = True


@dataclasses.dataclass(frozen=True)
class InfoMinOptions(MoCoV2Options):
    """Arguments of `burn_tf.methods.InfoMin`; `ema_decay` is constant."""

    method = "InfoMin"
    sees_pieces = True
    temperature: float = 0.15
    jigsaw_weight: float = 0.5


@dataclasses.dataclass(frozen=True)
class S2BNNOptions(MethodOptions):
    """Arguments of `burn_tf.methods.S2BNN`; the last four are those of its contrast."""

    method = "S2BNN"
    mode: str = "distillation"
    hidden_dim: int = 2048
    temperature: float = 0.2
    queue_size: int = 65_536
    ema_decay: float = 0.999
    symmetric: bool = False
    moving_statistics: bool = True

    @property
    def teacher(self) -> str:
        return "" if self.mode == "contrastive" else "projector"


@dataclasses.dataclass(frozen=True)
class SwAVOptions(MethodOptions):
    """Arguments of `burn_tf.methods.SwAV`; the global views are the recipe's `views.num_views`."""

    method = "SwAV"
    multicrop = True
    hidden_dim: int = 2048
    embedding_dim: int = 128
    num_prototypes: int = 3000
    temperature: float = 0.1
    epsilon: float = 0.05
    iterations: int = 3
    queue_size: int = 0
    queue_start: int = 0
    frozen_steps: int = 0


@dataclasses.dataclass(frozen=True)
class SimCLRV2Options(MethodOptions):
    """Arguments of `burn_tf.methods.SimCLRV2`."""

    method = "SimCLRV2"
    hidden_dim: int = 2048
    embedding_dim: int = 128
    temperature: float = 0.1


@dataclasses.dataclass(frozen=True)
class SimSiamOptions(MethodOptions):
    """Arguments of `burn_tf.methods.SimSiam`."""

    method = "SimSiam"
    predicts = True
    hidden_dim: int = 2048
    embedding_dim: int = 2048
    predictor_dim: int = 512


@dataclasses.dataclass(frozen=True)
class BarlowTwinsOptions(MethodOptions):
    """Arguments of `burn_tf.methods.BarlowTwins`."""

    method = "BarlowTwins"
    hidden_dim: int = 8192
    embedding_dim: int = 8192
    redundancy_weight: float = 5e-3


@dataclasses.dataclass(frozen=True)
class VICRegOptions(MethodOptions):
    """Arguments of `burn_tf.methods.VICReg`."""

    method = "VICReg"
    hidden_dim: int = 8192
    embedding_dim: int = 8192
    invariance_weight: float = 25.0
    variance_weight: float = 25.0
    covariance_weight: float = 1.0
    invariance_form: str = "algorithm_1"


@dataclasses.dataclass(frozen=True)
class WMSEOptions(MethodOptions):
    """Arguments of `burn_tf.methods.WMSE`."""

    method = "WMSE"
    hidden_dim: int = 1024
    embedding_dim: int = 64
    epsilon: float = 1e-3
    slice_size: int | None = None


@dataclasses.dataclass(frozen=True)
class SupervisedOptions(MethodOptions):
    """`burn_tf.methods.Supervised`: targets are the source's "labels" or the "teacher"'s answers.

    The teacher is then a classifier: `teacher.weights` names the whole of it, or a backbone whose
    classifier is `teacher.head`. `teacher.recipe` may be another recipe with this method.
    """

    method = "Supervised"
    head = "classifier"
    targets: str = "labels"

    def __post_init__(self) -> None:
        check_choice("method.targets", self.targets, ("labels", "teacher"))

    @property
    def teacher(self) -> str:
        return "" if self.labels else "classifier"

    @property
    def labels(self) -> bool:
        return self.targets == "labels"
