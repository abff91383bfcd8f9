"""A dispatcher and workers on loopback give the batches that one process makes, in its order."""

import dataclasses
import socket
import threading

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import Policy, data_service, load_source, pack_source, views_dataset
from burn_tf.data.data_servers import DataServers
from tests.data.test_packing import photograph

CROP = Policy("crop", jitter=0.0, grey=0.0, blur=0.0)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Eight photographs, six of them to train on, packed."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(8):
        photograph(i).save(folder / f"{i}.jpg")
    pack_source(str(folder), folder / "packed")
    return load_source(f"packed:{folder / 'packed'}")


@pytest.fixture
def servers():
    """A dispatcher with a worker, and another worker."""
    with DataServers(host="localhost") as first, DataServers(None, first.address, "localhost") as b:
        yield first, b


def made(source, **arguments):
    defaults = {"num_views": 2, "batch_size": 2, "image_size": 16, "seed": 3, "epochs": 2}
    dataset = views_dataset(source, CROP, labels=True, **(defaults | arguments))
    batches = [tf.nest.map_structure(lambda tensor: tensor.numpy(), batch) for batch in dataset]
    assert dataset.cardinality() == len(batches) > 0
    return dataset.element_spec, batches


def same(source, address, **arguments):
    served = dataclasses.replace(source, data_service=address)
    (spec, batches), (wanted_spec, wanted) = made(served, **arguments), made(source, **arguments)
    assert spec == wanted_spec and len(batches) == len(wanted)
    tf.nest.map_structure(np.testing.assert_array_equal, batches, wanted)


def test_same_batches_in_the_same_order(packed, servers):
    address = servers[0].address
    same(packed, address, start_step=1, batch_size=4, drop_remainder=False)
    same(load_source("synthetic:20"), address)  # in memory, worked on as whole batches


def test_damage_that_a_worker_meets(servers, tmp_path, capfd):
    """It shows what one process shows, and tells of it where it reads."""
    for i in range(8):
        photograph(i).save(tmp_path / f"{i}.jpg")
    pack_source(str(tmp_path), tmp_path / "packed")
    source = load_source(f"packed:{tmp_path / 'packed'}")
    (shard,) = (tmp_path / "packed").glob("train-*")
    data = bytearray(shard.read_bytes())
    data[500] ^= 4
    shard.write_bytes(data)
    same(source, servers[0].address)
    assert (
        "damaged image met, number 0 ; a sound one is shown in its place" in capfd.readouterr().err
    )


@pytest.mark.slow
def test_a_worker_that_is_gone_costs_nothing(packed, servers, monkeypatch):
    monkeypatch.setattr(data_service, "SILENCE_SECONDS", 40.0)
    monkeypatch.setattr(data_service, "_OVERTAKING", 4)
    served = dataclasses.replace(packed, data_service=servers[0].address)
    options = {"num_views": 1, "batch_size": 2, "image_size": 16, "seed": 3, "epochs": 8}
    wanted = list(views_dataset(packed, CROP, **options))
    found = []
    for batch in views_dataset(served, CROP, **options):
        found.append(batch)
        if len(found) == 5:
            servers[1].close()
    assert len(found) == len(wanted) == 24
    for (first,), (second,) in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(first, second)


def numbered(numbers):
    """A service that gives these batches and no others."""
    return tf.data.Dataset.from_tensor_slices((np.array(numbers, np.int64), np.array(numbers)))


def one_step(step):
    return tf.data.Dataset.from_tensors(step)


@pytest.mark.parametrize("arrived", [[3, 5, 4, 7, 6], [4, 6, 7], [7, 6, 5, 4, 3], [], [3, 3, 9]])
def test_order_losses_and_repeats(arrived, monkeypatch):
    monkeypatch.setattr(data_service, "_OVERTAKING", 2)
    found = data_service._in_order(numbered(arrived), one_step, 3, 8, "h:1")
    assert [int(value) for value in found] == [3, 4, 5, 6, 7]


def then_silence(numbers, silence):
    """A service that gives these batches and then waits until `silence` is set."""

    def batches():
        yield from ((number, number) for number in numbers)
        silence.wait()

    spec = (tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(batches, output_signature=spec)


@pytest.mark.parametrize("arrived", [[3, 4], [3, 7], [3, 5, 6, 7]])
def test_the_end_that_a_lost_worker_took_with_it(arrived, monkeypatch):
    """The dispatcher waits for that worker, so that the service never says that it has ended."""
    silence = threading.Event()
    found = data_service._in_order(then_silence(arrived, silence), one_step, 3, 8, "h:1")
    assert int(next(found)) == 3
    monkeypatch.setattr(data_service, "SILENCE_SECONDS", 1.0)
    assert [int(value) for value in found] == [4, 5, 6, 7]
    silence.set()


def test_workers_that_are_gone_early_end_a_run(monkeypatch):
    monkeypatch.setattr(data_service, "_TAIL", 4)
    silence = threading.Event()
    found = data_service._in_order(then_silence([3, 4], silence), one_step, 3, 10, "h:1")
    assert [int(next(found)), int(next(found))] == [3, 4]
    monkeypatch.setattr(data_service, "SILENCE_SECONDS", 1.0)
    with pytest.raises(UserError, match="no worker of the data service has answered for 1 s"):
        next(found)
    silence.set()


def test_silence_ends_in_one_line(packed, monkeypatch):
    monkeypatch.setattr(data_service, "SILENCE_SECONDS", 1.0)
    config = tf.data.experimental.service.DispatcherConfig(port=0)
    dispatcher = tf.data.experimental.service.DispatchServer(config)
    address = dispatcher.target.removeprefix("grpc://")
    served = dataclasses.replace(packed, data_service=address)
    with pytest.raises(tf.errors.OpError, match="no worker of the data service has answered"):
        next(iter(views_dataset(served, CROP, num_views=1, batch_size=2, image_size=16)))
    dispatcher.stop()


@pytest.mark.parametrize("address", ["nonsense", "localhost:", ":5", "localhost:99999"])
def test_no_address(packed, address):
    served = dataclasses.replace(packed, data_service=address)
    with pytest.raises(UserError, match=f"must be HOST:PORT. Received: '{address}'"):
        made(served)


def test_nobody_there_and_images_that_need_python(packed, servers, tmp_path):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    served = dataclasses.replace(packed, data_service=f"localhost:{port}")
    with pytest.raises(UserError, match="address of a running dispatcher: burn-tf data serve"):
        made(served)
    for i in range(5):
        photograph(i).convert("CMYK").save(tmp_path / f"{i}.jpg")
    odd = dataclasses.replace(load_source(str(tmp_path)), data_service=servers[0].address)
    with pytest.raises(UserError, match="pack the data first"):
        made(odd)
