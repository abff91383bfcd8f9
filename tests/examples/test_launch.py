"""The launch guide: its scripts run, with stand-ins for Slurm and Kubernetes, and say what is true.

A stand-in for srun starts the tasks of one node with the variables that Slurm sets; the manifest is
held to the operator's schema and to the command line that it starts.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from burn_tf.cli import pretrain
from burn_tf.cli.main import parse
from burn_tf.recipes import get_recipe, override
from burn_tf.training import STRATEGIES
from burn_tf.training.cluster import find_cluster

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "examples" / "launch"
# In place of the interpreter: tells what it was started with. Real Python still runs "-".
TELLS = """#!{python}
import json, os, sys
if sys.argv[1] == "-":
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
names = ("TF_CONFIG", "SLURM_")
told = {{name: value for name, value in os.environ.items() if name.startswith(names)}}
print(json.dumps([told, sys.argv[1:]]), flush=True)
sys.exit({code})
"""
SRUN = """#!{python}
import os, subprocess, sys
words = [word for word in sys.argv[1:]]
while words[0].startswith("--"):
    words.pop(0)
step = {{"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost"}}
step["SLURM_STEP_TASKS_PER_NODE"] = "2"
tasks = [
    subprocess.Popen(
        words,
        env={{**os.environ, **step, "SLURM_PROCID": rank, "SLURM_LOCALID": rank}},
        stdout=subprocess.PIPE,
        text=True,
    )
    for rank in ("0", "1")
]
for task in tasks:
    print(task.communicate()[0], end="")
sys.exit(max(task.returncode for task in tasks))
"""


def program(path: Path, text: str, code: int = 0) -> Path:
    path.write_text(text.format(python=sys.executable, code=code))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run(words: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", **variables}
    environment = {**os.environ, **variables}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=50)


def test_the_guide_names_what_there_is() -> None:
    text = (LAUNCH / "README.md").read_text()
    table = re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    assert tuple(table) == STRATEGIES
    assert set(re.findall(r"\]\(([\w.]+)\)", text)) == {
        path.name for path in LAUNCH.iterdir() if path.name != "README.md"
    }


@pytest.mark.parametrize("code", [0, 2])
def test_two_processes_get_one_cluster(tmp_path: Path, code: int) -> None:
    python = program(tmp_path / "python", TELLS, code)
    words = [str(LAUNCH / "two_processes.sh"), "--recipe=byol_digits", "--data=a b"]
    ended = run(words, tmp_path, PYTHON=str(python), WORKERS="3")
    assert ended.returncode == code, ended.stderr
    told = dict(re.findall(r"^\[(\d)\] (.*)$", ended.stdout, re.MULTILINE))
    assert sorted(told) == ["0", "1", "2"]
    clusters = []
    for number, line in told.items():
        environment, given = json.loads(line)
        clusters.append(find_cluster(environment))
        assert clusters[-1].number == int(number)
        expected = ["-m", "burn_tf", "pretrain", "--strategy=multiworker"]
        assert given == [*expected, "--recipe=byol_digits", "--data=a b"]
    assert len({cluster.addresses for cluster in clusters}) == 1
    assert len(set(clusters[0].addresses)) == 3


@pytest.mark.parametrize("code", [0, 2, 143])
def test_slurm_script(tmp_path: Path, code: int) -> None:
    """A job that was told to stop goes back into the queue, and no other does."""
    python = program(tmp_path / "told_python", TELLS, code)
    program(tmp_path / "srun", SRUN)
    program(tmp_path / "scontrol", f"#!/bin/sh\necho $* > {tmp_path}/requeued\n")
    job = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "2"}
    words = ["bash", str(LAUNCH / "slurm.sbatch"), "--recipe=byol_digits"]
    ended = run(words, tmp_path, PYTHON=str(python), **job)
    assert ended.returncode == code, ended.stderr
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    clusters = [find_cluster(environment) for environment, _ in told]
    assert sorted(cluster.number for cluster in clusters) == [0, 1]
    assert clusters[0].addresses == ("localhost:21232", "localhost:21233")
    assert all(
        words[-2:] == ["--strategy=multiworker", "--recipe=byol_digits"] for _, words in told
    )
    requeued = tmp_path / "requeued"
    assert requeued.exists() == (code == 143)
    assert code != 143 or requeued.read_text() == "requeue 77\n"


def test_slurm_script_asks_for_tasks_node_by_node() -> None:
    text = (LAUNCH / "slurm.sbatch").read_text()
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))
    assert asked["distribution"] == "block" and asked["signal"].startswith("TERM@")
    assert {"nodes", "ntasks-per-node", "gpus-per-task", "requeue"} <= set(asked)


@pytest.fixture(scope="module")
def manifest() -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((LAUNCH / "tfjob.yaml").read_text())


def test_manifest_has_the_operators_schema(manifest: Any) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) == ("kubeflow.org/v1", "TFJob")
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", manifest["metadata"]["name"])
    assert set(manifest["spec"]) == {"runPolicy", "tfReplicaSpecs"}
    policy = manifest["spec"]["runPolicy"]
    assert policy["cleanPodPolicy"] in {"None", "Running", "All"} and policy["backoffLimit"] > 0
    (kind, replicas), *others = manifest["spec"]["tfReplicaSpecs"].items()
    assert kind == "Worker" and not others and replicas["replicas"] >= 2
    # Exit code 2 of a lost worker is to be tried again: not "ExitCode", not "Never".
    assert replicas["restartPolicy"] in {"OnFailure", "Always"}
    pod = replicas["template"]["spec"]
    (container,) = pod["containers"]
    assert container["name"] == "tensorflow"
    assert container["ports"] == [{"name": "tfjob-port", "containerPort": 2222}]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_manifest_starts_a_command_that_exists(manifest: Any) -> None:
    (replicas,) = manifest["spec"]["tfReplicaSpecs"].values()
    pod = replicas["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["burn-tf", "pretrain"]
    flags = parse(pretrain, "pretrain", container["args"])
    recipe = override(get_recipe(flags.recipe), flags.set)
    gpus = container["resources"]["limits"]["nvidia.com/gpu"] * replicas["replicas"]
    assert recipe.batch_size % gpus == 0
    folders = [mount["mountPath"] for mount in container["volumeMounts"]]
    for path in (flags.data, flags.workdir, str(recipe.teacher.weights)):
        assert any(path.startswith(f"{folder}/") for folder in folders)
    assert pod["terminationGracePeriodSeconds"] >= 60
    # What the operator sets in the second of these pods.
    name = manifest["metadata"]["name"]
    workers = [f"{name}-worker-{i}.default.svc:2222" for i in range(replicas["replicas"])]
    config = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}
    found = find_cluster({"TF_CONFIG": json.dumps({**config, "environment": "cloud"})})
    assert found.number == 1 and found.addresses == tuple(workers)


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(tmp_path: Path) -> None:
    """SIGTERM to the script: both leave after the same update, saved; the same words finish."""
    small = ["backbone.name=reactnet_tiny", "backbone.width=1", "batch_size=8", "epochs=10"]
    words = [str(LAUNCH / "two_processes.sh"), "--recipe=supervised_digits", "--data=synthetic:40"]
    words += [f"--workdir={tmp_path}/run", *(f"--set={setting}" for setting in small)]
    words += ["--set=stages=both"]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    log = tmp_path / "run" / "metrics.jsonl"
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    script = subprocess.Popen(words, env=environment, **options)
    try:
        while not log.exists() or not log.read_text():
            assert script.poll() is None, script.communicate()
            time.sleep(0.01)
        script.send_signal(signal.SIGTERM)
        _, err = script.communicate(timeout=600)
    finally:
        script.kill()
    assert script.returncode == 143, err
    left = [int(step) for step in re.findall(r"^\[\d\] burn-tf: SIGTERM: .*step (\d+)", err, re.M)]
    done = json.loads(log.read_text().splitlines()[-1])["step"]
    assert left == [done, done], err
    again = subprocess.run(words, env=environment, timeout=600, **options)
    assert again.returncode == 0, again.stderr
    assert f"[0] backbone: {tmp_path}/run/backbone.keras" in again.stdout
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == list(range(1, 41))
