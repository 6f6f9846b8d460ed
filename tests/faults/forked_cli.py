"""The `tickpath` command without the second that each start spends on imports: a process that has imported it once forks for each
call. What runs is the command itself in a process of its own, with its own arguments, environment, output and exit code; what it
starts (engine, journal, feeder) are fresh processes as ever."""
import array
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MESSAGE_BYTES_MAX = 1 << 18
_server = None


def tickpath(*arguments, env=None, timeout=90):
    """subprocess.CompletedProcess of `tickpath <arguments>` in the repository's root. env : further variables."""
    global _server
    if _server is None or _server.process.poll() is not None:
        _server = _Server()
    return _server.call([str(a) for a in arguments], {**os.environ, **(env or {})}, timeout)


class _Server:
    def __init__(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = ours
        self.process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd=ROOT,
                                        stdin=subprocess.DEVNULL)
        theirs.close()
        atexit.register(self.stop)

    def call(self, arguments, environment, timeout):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            fds = array.array("i", [out.fileno(), err.fileno()])
            self.socket.settimeout(timeout)
            self.socket.sendmsg([json.dumps([arguments, environment]).encode()],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            pid = json.loads(self.socket.recv(64))
            try:
                code = json.loads(self.socket.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self.socket.recv(64)
                raise subprocess.TimeoutExpired(arguments, timeout) from None
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(["tickpath", *arguments], code, *texts)

    def stop(self):
        self.socket.close()                    # the server ends when nobody is left to ask it
        self.process.wait(10)


def _serve(fd):
    import importlib

    # What the command imports when it needs it; a module that is absent here is imported, or missed, by the command itself.
    for name in ("tickpathd.cli", "tickpathd.config", "tickpathd.supervisor", "tickpathd.replay", "tickpathd.render"):
        importlib.import_module(name)
    asked = socket.socket(fileno=fd)
    while True:
        data, ancillary, _, _ = asked.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_SPACE(2 * array.array("i").itemsize))
        if not data:
            return
        out, err = array.array("i", ancillary[0][2])
        pid = os.fork()
        if pid == 0:
            _run(json.loads(data), out, err, asked)
        os.close(out)
        os.close(err)
        asked.send(json.dumps(pid).encode())
        asked.send(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _run(request, out, err, asked):
    """The forked child: becomes the command and never returns."""
    arguments, environment = request
    asked.close()
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["tickpath", *arguments]
    code = 1
    try:
        from tickpathd.cli import main
        main()
        code = 0
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
