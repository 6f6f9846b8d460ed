"""ZeroMQ over ipc between two pinned Python processes: 64-byte messages, one way, JSON on stdout.

Run by bench_ring.py with the Python of the peers' environment. Arguments: sending core, receiving core. PUB/SUB and PUSH/PULL,
the receiver blocking or polling (the faster one is reported); paced, so that nothing queues, then flat out.
"""
import json
import multiprocessing
import os
import struct
import sys
import tempfile
import time

import zmq

PACED, GAP_S, FLAT_OUT, WARM = 2000, 0.0003, 50_000, 200
STAMP = struct.Struct("<q56x")
SOCKETS = {"PUB/SUB": (zmq.PUB, zmq.SUB), "PUSH/PULL": (zmq.PUSH, zmq.PULL)}


def send(pattern, address, core, ready):
    os.sched_setaffinity(0, {core})
    socket = zmq.Context().socket(SOCKETS[pattern][0])
    socket.set_hwm(0)
    socket.bind(address)
    ready.wait()
    time.sleep(0.3)                           # a subscription takes a moment to arrive
    for _ in range(WARM + PACED):
        time.sleep(GAP_S)
        socket.send(STAMP.pack(time.monotonic_ns()))
    time.sleep(0.1)
    message = STAMP.pack(0)
    for _ in range(FLAT_OUT):
        socket.send(message)
    ready.wait()


def receive(pattern, address, core, ready, polls, result):
    os.sched_setaffinity(0, {core})
    socket = zmq.Context().socket(SOCKETS[pattern][1])
    socket.set_hwm(0)
    if pattern == "PUB/SUB":
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(address)

    def poll():
        while True:
            try:
                return socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                pass
    take = poll if polls else socket.recv
    ready.wait()
    latency_ns = []
    for _ in range(WARM + PACED):
        message = take()
        latency_ns.append(time.monotonic_ns() - STAMP.unpack(message)[0])
    take()
    begin = time.monotonic_ns()
    for _ in range(FLAT_OUT - 1):
        take()
    rate = (FLAT_OUT - 1) * 1e9 / (time.monotonic_ns() - begin)
    ready.wait()
    result.put((sorted(latency_ns[WARM:]), rate))


def measure(pattern, cores, polls):
    context = multiprocessing.get_context("spawn")
    ready, result = context.Barrier(2), context.Queue()
    with tempfile.TemporaryDirectory() as directory:
        address = f"ipc://{directory}/socket"
        processes = [context.Process(target=send, args=(pattern, address, cores[0], ready), daemon=True),
                     context.Process(target=receive, args=(pattern, address, cores[1], ready, polls, result), daemon=True)]
        for process in processes:
            process.start()
        try:
            return result.get(timeout=60)
        finally:
            for process in processes:
                process.kill()
                process.join()


def main():
    cores = int(sys.argv[1]), int(sys.argv[2])
    patterns = {}
    for pattern in SOCKETS:
        runs = [measure(pattern, cores, polls) for polls in (False, True)]
        latency, _ = min(runs, key=lambda run: run[0][len(run[0]) // 2])
        n = len(latency)
        patterns[pattern] = {"latency": {"n": n, "p50": latency[n // 2], "p99": latency[n * 99 // 100],
                                         "p999": latency[n * 999 // 1000], "max": latency[-1], "best": latency[0]},
                             "per_s": round(max(rate for _, rate in runs))}
    print(json.dumps({"version": zmq.__version__, "patterns": patterns}))


if __name__ == "__main__":
    main()
