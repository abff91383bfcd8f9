"""Who trains together: TF_CONFIG, Slurm's variables and its short forms."""

from __future__ import annotations

import json

import pytest

from burn_tf._checks import UserError
from burn_tf.training.cluster import expand_counts, expand_nodelist, find_cluster, split_address

# Three nodes of which the last runs one task: what srun sets for task 3 of 5.
SLURM = {
    "SLURM_JOB_ID": "4211",
    "SLURM_JOB_NODELIST": "n[01-03]",
    "SLURM_TASKS_PER_NODE": "2(x2),1",
    "SLURM_NTASKS": "5",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_ID": "0",
}


def tf_config(job="worker", index=0, **jobs):
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": job, "index": index}})}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("host", ["host"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("n[008-011]", ["n008", "n009", "n010", "n011"]),
        ("a[1,3-4]-ib,b,c7", ["a1-ib", "a3-ib", "a4-ib", "b", "c7"]),
        ("r[1-2]n[5,7]", ["r1n5", "r1n7", "r2n5", "r2n7"]),
        ("gpu-a.site.org, gpu-b", ["gpu-a.site.org", "gpu-b"]),
    ],
)
def test_nodelist(text, names):
    assert expand_nodelist(text) == names


@pytest.mark.parametrize("text", ["", "n[1-", "n[]", "n[3-1]", "n[a-b]", "n]1["])
def test_nodelist_that_is_none(text):
    with pytest.raises(UserError, match=r"list of nodes.*Received: "):
        expand_nodelist(text)


def test_counts():
    assert expand_counts("2(x3),1") == [2, 2, 2, 1]
    assert expand_counts("4") == [4]
    with pytest.raises(UserError, match=r"tasks per node.*Received: '2\(x'"):
        expand_counts("2(x")


def test_slurm():
    cluster = find_cluster(SLURM)
    port = 20_000 + (16 * 4211) % 10_000
    hosts = ["n01", "n01", "n02", "n02", "n03"]
    ports = [port, port + 1, port, port + 1, port]
    assert cluster.addresses == tuple(f"{h}:{p}" for h, p in zip(hosts, ports, strict=True))
    assert (cluster.job, cluster.index, cluster.number) == ("worker", 3, 3)
    assert find_cluster(SLURM, port=900).addresses[1] == "n01:901"


def test_the_step_of_slurm_goes_before_its_job():
    step = {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "n[02-03]",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
    }
    cluster = find_cluster({**SLURM, **step, "SLURM_PROCID": "1", "SLURM_LOCALID": "0"})
    assert [address.split(":")[0] for address in cluster.addresses] == ["n02", "n03"]
    assert cluster.number == 1
    bare = {name: text for name, text in SLURM.items() if name != "SLURM_NTASKS"}
    assert find_cluster({**bare, **step, "SLURM_PROCID": "1", "SLURM_LOCALID": "0"}) == cluster


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"SLURM_NTASKS": "4"}, "4 tasks on 3 nodes.*Received: 5 tasks"),
        ({"SLURM_LOCALID": "0"}, "--distribution=block.*Received: task 3 as number 0"),
        ({"SLURM_PROCID": "x"}, "SLURM_PROCID must be a whole number.*Received: 'x'"),
        ({"SLURM_JOB_NODELIST": "n[1-2]"}, "5 tasks on 2 nodes"),
    ],
)
def test_slurm_that_contradicts_itself(changed, message):
    with pytest.raises(UserError, match=message):
        find_cluster({**SLURM, **changed})


def test_training_alone():
    batch_script = {name: SLURM[name] for name in SLURM if name != "SLURM_STEP_ID"}
    single = {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_STEP_ID": "0"}
    others = [{"TF_CONFIG": text} for text in ("{}", '{"environment": "cloud"}', '{"cluster": {}}')]
    for environment in ({}, batch_script, single, tf_config(worker=["a:1"]), *others):
        assert find_cluster(environment) is None


def test_tf_config_with_a_chief():
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    cluster = find_cluster(tf_config("worker", 1, **jobs))
    assert cluster.addresses == ("a:1", "b:2", "c:3")
    assert cluster.number == 2
    assert find_cluster(tf_config("chief", 0, **jobs)).number == 0
    assert find_cluster({**SLURM, **tf_config(worker=["a:1", "b:2"])}).addresses == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{"}, r"TF_CONFIG must be .*Received: \{"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG must be"),
        (tf_config(worker=["a:1", "b:1"], ps=["c:1"]), "parameter servers.*Received: ps"),
        (tf_config(worker=["a:1", "b:1"], index=2), "one of its cluster.*Received: worker 2"),
        (tf_config(worker=["a:1"], chief=["b:1", "c:1"]), "one chief"),
        (tf_config(worker=["a", "b:1"]), "must be host:port. Received: 'a'"),
        (tf_config(worker=["a..b:1", "b:1"]), r"must be host:port. Received: 'a\.\.b:1'"),
    ],
)
def test_tf_config_that_is_refused(environment, message):
    with pytest.raises(UserError, match=message):
        find_cluster(environment)


def test_addresses():
    assert split_address("a.b:22") == ("a.b", 22)
    assert split_address("[::1]:22") == ("::1", 22)
    for address in ("a", "a:", ":1", "a:0", "a:65536", "a:b"):
        with pytest.raises(UserError, match="host:port"):
            split_address(address)
