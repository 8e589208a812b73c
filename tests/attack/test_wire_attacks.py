"""Attacks below the level of requests, on a NameServer and on a broker alike: W1 to W6 of `docs/wire.md`."""

import json
import re
import socket
import struct
import time
from collections.abc import Callable

import pytest

from attack.conftest import HonestClient, Target
from attack.peers import answers, answers_in, binary_header, connected, is_closed, says_nothing, send_all
from support.processes import listening_ports, open_descriptors, wait_for
from support.speaker import ONE_WAY, RESPONSE, frame, raw_frame, read_answer

Watch = Callable[[Target], HonestClient]

MAX_FRAME = 16 * 1024 * 1024
MAX_HEADER = 1024 * 1024
UNKNOWN_CODE = 9_999
BAD_LENGTHS = {
    "2 GiB": "7fffffff 00000010",
    "negative": "ffffffff 00000010",
    "most negative": "80000000 00000010",
    "0": "00000000 00000000",
    "1": "00000001 00000000",
    "3": "00000003 00000000",
    "one above the cap": f"{MAX_FRAME - 4 + 1:08x} 00000010",
    "header longer than the frame": "00000014 00000020",
    "header of 2^24-1": "00000014 00ffffff",
    "header above its cap": f"{MAX_HEADER + 1000:08x} {MAX_HEADER + 1:08x}",
    "encoding 2": "00000014 02000010",
    "encoding 127": "00000014 7f000010",
    "encoding 255": "00000014 ff000010",
}
PORT_SCANS = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\x11" * 160,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "line of text": b"hello, is anybody there?\r\n",
}


def json_header(**members: object) -> bytes:
    header = {"code": UNKNOWN_CODE, "language": "JAVA", "version": 409, "opaque": 7, "flag": 0, **members}
    return json.dumps(header).encode()


BAD_HEADERS = {
    "depth of 10^5": (0, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "depth of 33": (0, b'{"code":1,"a":' + b"[" * 33 + b"]" * 33 + b"}"),
    "duplicate keys": (0, b'{"code":105,"code":103,"opaque":1}'),
    "duplicate fields": (0, b'{"code":105,"opaque":1,"extFields":{"topic":"a","topic":"b"}}'),
    "NaN": (0, b'{"code":NaN,"opaque":1}'),
    "infinity": (0, b'{"code":1e999,"opaque":1}'),
    "code of 2^40": (0, b'{"code":1099511627776,"opaque":1}'),
    "257 fields": (0, json_header(extFields={f"f{number}": "" for number in range(257)})),
    "10^5 fields": (0, json_header(extFields={f"f{number}": "" for number in range(60_000)})),
    "not an object": (0, b"[1, 2, 3]"),
    "cut in the middle": (0, b'{"code":105,"opaque":1,"extFields":{"topic":"a'),
    "empty": (0, b""),
    "binary: empty": (1, b""),
    "binary: cut before its fields": (1, binary_header(UNKNOWN_CODE, 1, 0, b"")[:-2]),
    "binary: remark longer than the header": (1, binary_header(UNKNOWN_CODE, 1, 0, b"", remark_length=1000)),
    "binary: negative remark": (1, binary_header(UNKNOWN_CODE, 1, 0, b"", remark_length=-1)),
    "binary: key longer than the fields": (1, binary_header(UNKNOWN_CODE, 1, 0, struct.pack(">h", 500) + b"topic")),
    "binary: negative key length": (1, binary_header(UNKNOWN_CODE, 1, 0, struct.pack(">h", -5) + b"topic")),
    "binary: value longer than the fields": (
        1, binary_header(UNKNOWN_CODE, 1, 0, struct.pack(">h5si", 5, b"topic", 1 << 30) + b"x"),
    ),
    "binary: negative value length": (
        1, binary_header(UNKNOWN_CODE, 1, 0, struct.pack(">h5si", 5, b"topic", -1) + b"x"),
    ),
    "binary: fields longer than the header": (1, binary_header(UNKNOWN_CODE, 1, 0, b"")[:-4] + struct.pack(">i", 99)),
}  # fmt: skip
HARMLESS_HEADERS = {
    "numbers and booleans as values": json_header(extFields={"queueId": 3, "flag": True, "offset": -9}),
    "language as a number": json_header(language=9),
    "a language that nobody knows": json_header(language="KLINGON"),
    "unknown keys": json_header(somethingNew={"deep": [1, 2, {"x": None}]}),
    "trailing white space": json_header() + b" \r\n\t\n",
    "version 2^31-1": json_header(version=2**31 - 1),
    "negative version": json_header(version=-5),
    "256 fields": json_header(extFields={f"f{number}": "v" for number in range(256)}),
    "text of another encoding": json_header(remark="@").replace(b"@", "订单".encode("gbk")),
    "null fields": json_header(extFields=None, remark=None),
    "only code and opaque": b'{"code":%d,"opaque":7}' % UNKNOWN_CODE,
}


@pytest.mark.parametrize("claim", BAD_LENGTHS)
def test_a_lying_length_closes_the_connection_at_once(target: Target, unharmed: Watch, claim: str) -> None:
    unharmed(target)
    with connected(target.address) as peer:
        head = bytes.fromhex(BAD_LENGTHS[claim])
        # Where the length itself is possible, the frame is sent to its end: what lies then is the header's length.
        rest = struct.unpack(">i", head[:4])[0] - 4
        send_all(peer, head + bytes(rest if 0 < rest < 2 * MAX_HEADER else 0))
        assert is_closed(peer)


@pytest.mark.parametrize("scanner", PORT_SCANS)
def test_a_port_scan_is_shut_out(target: Target, unharmed: Watch, scanner: str) -> None:
    unharmed(target)
    with connected(target.address) as peer:
        send_all(peer, PORT_SCANS[scanner])
        assert is_closed(peer)


def test_connections_that_say_nothing_and_go_leave_nothing_behind(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    before = open_descriptors(target.identity.pid)
    for _ in range(300):
        with connected(target.address):
            pass
    # The honest client and other connections come and go beside this.
    wait_for(lambda: open_descriptors(target.identity.pid) <= before + 10, 10, "the descriptors to be given back")


def test_memory_grows_with_bytes_received_and_not_with_the_claim(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    peers = []
    try:
        for _ in range(200):
            peer = socket.create_connection(("127.0.0.1", int(target.address.rsplit(":", 1)[1])), 5)
            peers.append(peer)
            # A legal claim of almost 16 MiB each, 3 GiB together, and then a few bytes.
            peer.sendall(struct.pack(">II", MAX_FRAME - 4, 1000) + b'{"code":')
        wait_for(lambda: target.serves(), 20, "an honest client")
    finally:
        for peer in peers:
            peer.close()


@pytest.mark.parametrize("bomb", BAD_HEADERS)
def test_a_header_bomb_closes_the_connection(target: Target, unharmed: Watch, bomb: str) -> None:
    unharmed(target)
    encoding, header = BAD_HEADERS[bomb]
    with connected(target.address) as peer:
        send_all(peer, raw_frame(header, encoding=encoding))
        assert is_closed(peer)


@pytest.mark.parametrize("header", HARMLESS_HEADERS)
def test_what_is_odd_but_harmless_is_answered(target: Target, header: str) -> None:
    with connected(target.address) as peer:
        peer.sendall(raw_frame(HARMLESS_HEADERS[header]))
        answer = read_answer(peer)
        assert (answer.code, answer.opaque, answer.flag & RESPONSE) == (3, 7, RESPONSE)


def test_a_frame_that_comes_byte_by_byte_is_read_like_any_other(target: Target) -> None:
    with connected(target.address) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(UNKNOWN_CODE, opaque=11):
            peer.sendall(bytes([byte]))
        assert read_answer(peer).opaque == 11


def test_an_unknown_code_is_answered_3_in_the_header_form_of_the_request(target: Target) -> None:
    with connected(target.address) as peer:
        peer.sendall(frame(UNKNOWN_CODE, opaque=5))
        answer = read_answer(peer)
        assert (answer.code, answer.opaque) == (3, 5)
        assert f"{UNKNOWN_CODE} not supported" in answer.remark
        peer.sendall(raw_frame(binary_header(UNKNOWN_CODE, 6, 0, b""), encoding=1))
        (length,) = struct.unpack(">I", peer.recv(4, socket.MSG_WAITALL))
        header = peer.recv(length, socket.MSG_WAITALL)
        assert header[0] == 1, "binary is answered in binary"
        code, _, _, opaque, flag = struct.unpack_from(">hBhii", header, 4)
        assert (code, opaque, flag & RESPONSE) == (3, 6, RESPONSE)


def test_an_answer_that_nobody_asked_for_is_dropped_and_the_connection_lives(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    with connected(target.address) as peer:
        for opaque in range(100):
            peer.sendall(frame(0, opaque=opaque, flag=RESPONSE))
        assert says_nothing(peer)
        peer.sendall(frame(target.honest_code, target.honest_fields, opaque=1234))
        assert read_answer(peer).opaque == 1234


def test_one_way_requests_of_every_code_are_never_answered(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    codes = [*range(1100), *range(200_040, 200_160), -1, -(2**31), 2**31 - 1]
    with connected(target.address) as peer:
        for code in codes:
            peer.sendall(frame(code, {}, b"junk", opaque=1, flag=ONE_WAY))
        peer.sendall(frame(target.honest_code, target.honest_fields, opaque=77))
        assert read_answer(peer).opaque == 77, "the first answer belongs to the first request that wants one"
        assert says_nothing(peer)


def test_every_code_with_nothing_in_it_is_answered_and_keeps_the_connection(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    with connected(target.address, timeout=10) as peer:
        for code in [*range(1100), *range(200_040, 200_160)]:
            peer.sendall(frame(code, {}, b"", opaque=code))
            assert read_answer(peer).opaque == code


def test_a_reused_opaque_is_answered_each_time(target: Target) -> None:
    with connected(target.address) as peer:
        peer.sendall(frame(target.honest_code, target.honest_fields, opaque=9) * 3)
        assert [answer.opaque for answer in answers(peer, 3)] == [9, 9, 9]


@pytest.mark.long
def test_a_frame_that_never_ends_is_given_up(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    with connected(target.address) as peer:
        peer.sendall(struct.pack(">II", 1000, 500))
        began = time.monotonic()
        # A byte a second keeps the connection busy, which must not help.
        while time.monotonic() < began + 60 and says_nothing(peer, within=1.0):
            send_all(peer, b" ")
        assert is_closed(peer)
        assert time.monotonic() - began >= 14, "a slow peer is given its time"


def test_a_flood_of_connections_does_not_shut_out_others(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    peers = []
    try:
        for _ in range(1000):
            peers.append(socket.create_connection(("127.0.0.1", int(target.address.rsplit(":", 1)[1])), 5))
        assert target.serves()
    finally:
        for peer in peers:
            peer.close()


@pytest.mark.timeout(120)
def test_a_peer_that_never_reads_is_cut_off_and_its_answers_are_bounded(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    requests = frame(UNKNOWN_CODE, {"padding": "p" * 200}) * 500
    with connected(target.address, timeout=0.5, receive_buffer=4096) as peer:
        deadline = time.monotonic() + 60
        cut_off = False
        while not cut_off and time.monotonic() < deadline:
            try:
                peer.sendall(requests)
            except TimeoutError:
                continue  # It no longer reads us; the end of its patience is still to come.
            except ConnectionError:
                cut_off = True
        assert cut_off


@pytest.mark.timeout(120)
def test_a_hundred_thousand_pipelined_requests_are_each_answered_once(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    count, chunk = 100_000, 500
    seen: list[int] = []
    received = bytearray()
    with connected(target.address, timeout=30) as peer:
        peer.setblocking(False)
        waiting = b"".join(frame(target.honest_code, target.honest_fields, opaque=opaque) for opaque in range(chunk))
        outgoing, begun = memoryview(b""), 0
        deadline = time.monotonic() + 100
        while len(seen) < count and time.monotonic() < deadline:
            if not outgoing and begun < count:
                # Opaques repeat by chunk: what is counted is how often each of them came back.
                outgoing, begun = memoryview(waiting), begun + chunk
            outgoing = _push(peer, outgoing)
            _pull(peer, received)
            done = answers_in(bytes(received))
            seen += [answer.opaque for answer in done]
            assert {answer.code for answer in done} <= {0, 2}
            _forget(received, len(done))
    assert len(seen) == count
    assert all(seen.count(opaque) == count // chunk for opaque in (0, 1, chunk - 1))


def test_an_attack_leaves_few_lines_in_the_log(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    before = target.log.stat().st_size
    began = time.monotonic()
    attacks = 0
    # Longer than the interval between two lines of one kind: another test may just have caused one.
    while attacks < 300 or time.monotonic() < began + 2:
        with connected(target.address) as peer:
            send_all(peer, bytes.fromhex("7fffffff 00000010"))
            assert is_closed(peer)
        attacks += 1
    wait_for(lambda: target.log.stat().st_size > before, 3, "a line that says what happened")
    lines = target.log.read_bytes()[before:].splitlines()
    about_frames = [line for line in lines if re.search(rb"frame", line)]
    assert 1 <= len(about_frames) <= 2 + (time.monotonic() - began)


def test_other_ports_of_the_process_shut_out_garbage_too(target: Target, unharmed: Watch) -> None:
    unharmed(target)
    ports = listening_ports(target.identity.pid)
    assert int(target.address.rsplit(":", 1)[1]) in ports
    for port in ports:
        for garbage in [*PORT_SCANS.values(), *(bytes.fromhex(claim) for claim in BAD_LENGTHS.values())]:
            with connected(f"127.0.0.1:{port}") as peer:
                send_all(peer, garbage + b"\0" * 64)
                assert is_closed(peer, within=20), f"port {port} holds on to {garbage[:8]!r}"


def _push(peer: socket.socket, outgoing: memoryview) -> memoryview:
    try:
        return outgoing[peer.send(outgoing[:65536]) :] if outgoing else outgoing
    except BlockingIOError:
        return outgoing


def _pull(peer: socket.socket, received: bytearray) -> None:
    try:
        chunk = peer.recv(1 << 20)
    except BlockingIOError:
        time.sleep(0.001)
        return
    assert chunk, "closed in the middle"
    received += chunk


def _forget(received: bytearray, count: int) -> None:
    at = 0
    for _ in range(count):
        at += 4 + struct.unpack_from(">I", received, at)[0]
    del received[:at]
