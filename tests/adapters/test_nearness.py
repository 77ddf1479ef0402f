"""The nearness of a host, in every form of its address."""

import asyncio

import pytest

from adapters.nearness import Nearness, addresses_of, nearest_of, nearness_of


@pytest.mark.parametrize(
    ("hosts", "nearness"),
    [
        ("127.0.0.1 127.1 127.255.0.9 2130706433 0x7f000001 0177.0.0.1 0.0.0.0 0", "MACHINE"),
        ("::1 :: ::ffff:127.0.0.1 ::ffff:7f00:1 64:ff9b::7f00:1 2002:7f00:1::", "MACHINE"),
        ("localhost LOCALHOST localhost. a.localhost 127.0.0.1.", "MACHINE"),
        ("169.254.169.254 fe80::1 fe80::1%eth0", "MACHINE"),
        ("10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 10.1 0xa000001 fd00::1", "NETWORK"),
        ("::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::", "NETWORK"),
        (
            "8.8.8.8 1.1 2606:4700::1111 64:ff9b::808:808 login.test localhost.test 10.test",
            "ELSEWHERE",
        ),
    ],
    ids=str,
)
def test_an_address_has_a_nearness(hosts: str, nearness: str) -> None:
    assert {nearness_of(host).name for host in hosts.split()} == {nearness}


def test_a_name_has_the_nearness_of_its_addresses() -> None:
    assert nearest_of(asyncio.run(addresses_of("localhost", 443))) is Nearness.MACHINE
    assert nearest_of(asyncio.run(addresses_of("10.0.0.1", 443))) is Nearness.NETWORK
    assert nearest_of(["8.8.8.8", "10.0.0.1"]) is Nearness.NETWORK
    assert nearest_of([]) is Nearness.ELSEWHERE
