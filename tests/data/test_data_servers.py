"""Servers of the data service: what they say, and what they refuse."""

import socket

import pytest

from burn_tf._checks import UserError
from burn_tf.data.data_servers import DataServers


def test_says_where_it_is_reached():
    with DataServers(host="localhost") as first:
        port = int(first.address.rpartition(":")[2])
        assert first.describe() == f"data service at localhost:{port}: a dispatcher and a worker"
        with socket.create_connection(("localhost", port), 5):
            pass
        with DataServers(None, first.address, "localhost") as second:
            assert second.describe() == f"worker of the data service at {first.address}"


def test_refuses():
    with socket.socket() as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"`port` must be free; .* Received: {port}"):
            DataServers(port, host="localhost")
        with pytest.raises(UserError, match="address of a running dispatcher"):
            DataServers(None, f"localhost:{port}", "localhost")
    with pytest.raises(UserError, match="`host` must be"):
        DataServers(host="no such host")
    with pytest.raises(UserError, match="`port`"):
        DataServers(0, host="localhost")
