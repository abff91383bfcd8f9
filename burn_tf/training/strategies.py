"""The strategy by name: one device, several GPUs, several machines, a TPU."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import tensorflow as tf

from burn_tf._checks import UserError, check_choice
from burn_tf._compat import context_is_begun, set_group_timeouts
from burn_tf.training.cluster import Cluster, find_cluster, split_address
from burn_tf.training.peers import PeerWatch, answers
from burn_tf.training.rendezvous import START_SECONDS, meet
from burn_tf.training.workers import Workers, tensorflow_line

STRATEGIES = ("auto", "none", "mirrored", "multiworker", "tpu")
# All workers are there when TensorFlow is asked to form its group.
_GROUP_SECONDS = 45
# TensorFlow's own limit of ten seconds is short for a machine that is busy.
_HEARTBEAT_SECONDS = 20
_PAUSE_SECONDS = 0.5


def make_workers(
    name: str = "auto",
    *,
    environment: Mapping[str, str] | None = None,
    tpu: str = "",
    port: int | None = None,
    start_seconds: float = START_SECONDS,
) -> Workers:
    """The strategy by name; several workers are waited for.

    `auto` is multiworker where TF_CONFIG or Slurm's srun names several processes, mirrored where
    this machine has several GPUs, and one device otherwise. A strategy of several workers has to
    be made before anything else is done with TensorFlow.

    Args:
        name: one of `STRATEGIES`.
        environment: environment variables; None: those of this process.
        tpu: name or address (grpc://HOST:PORT) of the TPU, for "tpu"; "": what TPU_NAME says.
        port: first port on each machine, for Slurm; None: by the job's number.
        start_seconds: how long the other workers, or the TPU, are waited for; > 0.

    Raises:
        UserError: where there is no such device, or the environment is not understood.
    """
    check_choice("strategy", name, STRATEGIES)
    if tpu and name != "tpu":
        raise UserError(f"`tpu` is for strategy='tpu': leave it out. Received: {tpu!r}")
    found = os.environ if environment is None else environment
    cluster = find_cluster(found, port) if name in ("auto", "multiworker") else None
    if cluster is not None:
        return _multiworker(cluster, start_seconds)
    if name == "multiworker":
        raise UserError(
            "`strategy` multiworker needs several workers in TF_CONFIG, or srun of Slurm. "
            "Received: an environment that names none"
        )
    if name == "tpu":
        return Workers(_tpu(tpu, start_seconds))
    return _mirrored(required=name == "mirrored") if name != "none" else Workers()


def _mirrored(required: bool) -> Workers:
    devices = tf.config.list_logical_devices("GPU")
    if required and len(devices) < 2:
        devices = tf.config.list_logical_devices("CPU")
    if len(devices) >= 2:
        return Workers(tf.distribute.MirroredStrategy([device.name for device in devices]))
    if required:
        raise UserError(
            "`strategy` mirrored needs two GPUs or more: use --strategy=none, or auto. "
            f"Received: {len(tf.config.list_logical_devices('GPU'))}"
        )
    return Workers()


def _tpu(name: str, start_seconds: float) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        _await_tpu(resolver.master(), start_seconds)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except UserError:
        raise
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            "no TPU was found: give its name with --tpu, and install a TensorFlow that has TPUs. "
            f"Received: {name!r}: {lines[0]}"
        ) from error


def _await_tpu(master: str, seconds: float) -> None:
    """TensorFlow itself would wait for ever where nothing answers."""
    scheme, _, address = master.rpartition("://")
    if scheme != "grpc":
        return
    try:
        split_address(address)
    except UserError as error:
        raise UserError(
            f"`tpu` must be a name or grpc://HOST:PORT. Received: {master!r}"
        ) from error
    deadline = time.monotonic() + seconds
    while not answers(address):
        if time.monotonic() > deadline:
            raise UserError(
                f"the TPU did not answer within {seconds:g} s (`--start_seconds`): see whether it "
                f"runs and can be reached from here. Received: {master!r}"
            )
        time.sleep(_PAUSE_SECONDS)


def _multiworker(cluster: Cluster, start_seconds: float) -> Workers:
    if context_is_begun():
        raise UserError(
            "several workers must be set up before anything else is done with TensorFlow: call "
            "make_workers first. Received: a process that has used TensorFlow"
        )
    meet(cluster, start_seconds)
    addresses, number = cluster.addresses, cluster.number
    jobs = {job: len(found) for job, found in cluster.jobs.items()}
    set_group_timeouts(jobs, form_seconds=_GROUP_SECONDS, heartbeat_seconds=_HEARTBEAT_SECONDS)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({job: list(found) for job, found in cluster.jobs.items()}),
        task_type=cluster.job,
        task_id=cluster.index,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except tf.errors.OpError as error:
        raise UserError(
            f"worker {number} could not join the others: see whether its port is free and what "
            f"they printed. Received: {tensorflow_line(str(error))}"
        ) from error
    watch = PeerWatch(addresses[1:] if number == 0 else addresses[:1])
    watch.start()
    return Workers(strategy, number, len(addresses), watch)
