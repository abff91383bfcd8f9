"""Which processes train together: read from TF_CONFIG (Kubernetes sets it) or from Slurm."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

from burn_tf._checks import UserError, check_integer

# Ports that jobs on one machine share out among themselves, by the job's number.
_FIRST_PORT, _PORTS = 20_000, 10_000
_JOBS = ("chief", "worker")
_COUNT = re.compile(r"(\d+)(?:\(x(\d+)\))?")
_PART = re.compile(r"\[([^\]]*)\]|([^\[\]]+)")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The addresses of all workers, and which of them this process is.

    Args:
        jobs: addresses `host:port` by job: "worker", and "chief" where one is named.
        job: this process's job.
        index: its number within the job, from 0.
    """

    jobs: Mapping[str, tuple[str, ...]]
    job: str
    index: int

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, the chief's first."""
        return tuple(itertools.chain.from_iterable(self.jobs.get(job, ()) for job in _JOBS))

    @property
    def number(self) -> int:
        """The place of this process among all; 0 is the chief, which alone writes files."""
        return self.index + (len(self.jobs.get("chief", ())) if self.job == "worker" else 0)


def find_cluster(environment: Mapping[str, str], port: int | None = None) -> Cluster | None:
    """The cluster that the environment describes, or None where this process is to train alone.

    Args:
        environment: environment variables, such as `os.environ`.
        port: first port on each machine, for Slurm; None: one that follows from the job's number.

    Raises:
        UserError: for variables that contradict themselves or are not understood.
    """
    if environment.get("TF_CONFIG", "").strip():
        return _from_tf_config(environment["TF_CONFIG"])
    # A batch script itself has these too; only what srun starts has a step.
    if "SLURM_PROCID" in environment and "SLURM_STEP_ID" in environment:
        return _from_slurm(environment, port)
    return None


def _from_tf_config(text: str) -> Cluster | None:
    try:
        config = json.loads(text)
        if not config.get("cluster"):  # Some platforms set it for every process.
            return None
        jobs = {str(job): tuple(map(str, found)) for job, found in config["cluster"].items()}
        job, index = str(config["task"]["type"]), int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            'TF_CONFIG must be {"cluster": {"worker": ["host:port", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}. Received: {_short(text)}'
        ) from error
    unknown = sorted({*jobs, job} - {*_JOBS})
    if unknown:
        raise UserError(
            "TF_CONFIG may name the jobs 'chief' and 'worker' alone: parameter servers and "
            f"evaluators have no part in this training. Received: {', '.join(unknown)}"
        )
    if not 0 <= index < len(jobs.get(job, ())) or len(jobs.get("chief", ())) > 1:
        raise UserError(
            "TF_CONFIG's task must be one of its cluster, which has one chief at most. "
            f"Received: {job} {index} of {_short(json.dumps(jobs))}"
        )
    return _several(Cluster(jobs, job, index))


def _several(cluster: Cluster) -> Cluster | None:
    for address in cluster.addresses:
        split_address(address)
    return cluster if len(cluster.addresses) > 1 else None


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`.

    Raises:
        UserError: for anything else.
    """
    host, _, port = address.rpartition(":")
    try:
        host.encode("idna")
    except UnicodeError:
        host = ""
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"a worker's address must be host:port. Received: {address!r}")
    return host.strip("[]"), int(port)


def _from_slurm(environment: Mapping[str, str], port: int | None) -> Cluster | None:
    of_step = "SLURM_STEP_NUM_TASKS" in environment
    rank = _number(environment, "SLURM_PROCID")
    count = _number(environment, "SLURM_STEP_NUM_TASKS" if of_step else "SLURM_NTASKS")
    if count == 1:
        return None
    hosts = expand_nodelist(_either(environment, "NODELIST", "SLURM_JOB_NODELIST"))
    tasks = expand_counts(_either(environment, "TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"))
    if len(tasks) != len(hosts) or sum(tasks) != count:
        raise UserError(
            f"Slurm's variables must name {count} tasks on {len(hosts)} nodes: start the workers "
            f"with srun. Received: {sum(tasks)} tasks on {len(tasks)} nodes"
        )
    first = _slurm_port(environment) if port is None else port
    check_integer("port", first, low=1, high=65535 - max(tasks))
    places = [(host, local) for host, number in zip(hosts, tasks) for local in range(number)]  # noqa: B905
    if not 0 <= rank < count or _number(environment, "SLURM_LOCALID") != places[rank][1]:
        raise UserError(
            "Slurm must number the tasks node by node: start srun with --distribution=block. "
            f"Received: task {rank} as number {environment['SLURM_LOCALID']} of its node"
        )
    workers = tuple(f"{host}:{first + local}" for host, local in places)
    return Cluster({"worker": workers}, "worker", rank)


def _either(environment: Mapping[str, str], name: str, whole_job: str) -> str:
    """A variable of the step, or of the whole job."""
    found = environment.get(f"SLURM_STEP_{name}", environment.get(whole_job))
    if found is None:
        raise UserError(f"{whole_job} must be set: start the workers with srun. Received: nothing")
    return found


def _slurm_port(environment: Mapping[str, str]) -> int:
    # A node may hold several jobs; a number of tasks per node above 1 takes the ports that follow.
    return _FIRST_PORT + 16 * _number(environment, "SLURM_JOB_ID") % _PORTS


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isdecimal():
        raise UserError(f"{name} must be a whole number: start with srun. Received: {text!r}")
    return int(text)


def expand_nodelist(text: str) -> list[str]:
    """Host names of Slurm's short form: "n[01-02,7]x,m" is n01x, n02x, n7x, m.

    Raises:
        UserError: for text that is not such a list.
    """
    names = [name for item in _split_outside_brackets(text) for name in _expand_item(item, text)]
    if not names:
        raise UserError(f"the list of nodes must name a node. Received: {text!r}")
    return names


def _split_outside_brackets(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def _expand_item(item: str, text: str) -> list[str]:
    parts = _PART.findall(item)
    if "".join(f"[{inside}]" if inside else plain for inside, plain in parts) != item:
        raise UserError(f"the list of nodes must be like n[01-04,7],m. Received: {text!r}")
    choices = [_expand_range(inside, text) if inside else [plain] for inside, plain in parts]
    return ["".join(choice) for choice in itertools.product(*choices)]


def _expand_range(inside: str, text: str) -> list[str]:
    names: list[str] = []
    for piece in inside.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", piece.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UserError(f"the list of nodes must be like n[01-04,7],m. Received: {text!r}")
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1)
        names += [str(number).zfill(len(match[1])) for number in numbers]
    return names


def expand_counts(text: str) -> list[int]:
    """Tasks of each node from Slurm's short form: "2(x3),1" is 2, 2, 2, 1.

    Raises:
        UserError: for text that is not such a list.
    """
    counts: list[int] = []
    for piece in text.split(","):
        match = _COUNT.fullmatch(piece.strip())
        if match is None:
            raise UserError(f"tasks per node must be like 2(x3),1. Received: {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _short(text: Any, length: int = 200) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= length else line[: length - 3] + "..."
