"""What a zygote answers; that it forks is tested with its supervisor."""

from __future__ import annotations

import os
import socket

from windlass.protocol.forking import MAX_DATAGRAM, Fork, Unforked, datagram, from_zygote
from windlass.runtime.limits import LeaseMark
from windlass.runtime.zygote import Zygote


def test_children_whose_descriptors_did_not_all_arrive_are_not_forked() -> None:
    supervisors, zygotes = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with supervisors, zygotes:
        zygote = Zygote(zygotes, LeaseMark(), single=False)
        reading, writing = os.pipe()
        socket.send_fds(supervisors, [datagram(Fork(tokens=["a", "b"]))], [writing])
        os.close(writing)
        assert zygote._obey()
        answers = [from_zygote(supervisors.recv(MAX_DATAGRAM)) for _ in range(2)]
        assert [answer.token for answer in answers if isinstance(answer, Unforked)] == ["a", "b"]
        assert os.read(reading, 1) == b"", "what did arrive is closed"
        os.close(reading)
