"""The AWS command line without a Python started for each command: a server that has loaded it forks, and the copy runs the one command it is sent.

aws_fork.py serve SOCKET      loads awscli, then prints "ready" and serves until its standard input ends
aws_fork.py run SOCKET ARGS   what "aws ARGS" does: this process's files, environment and folder, and the command's exit code
"""
import contextlib
import io
import json
import os
import socket
import sys


def serve(path):
    import signal
    import threading

    from awscli.clidriver import create_clidriver

    import awscli.customizations.s3.subcommands  # noqa: F401

    driver = create_clidriver()
    # What every command would load for itself: the models of S3, its endpoints and its commands.
    driver.session.create_client("s3", aws_access_key_id="none", aws_secret_access_key="none")  # the real ones are each command's
    with contextlib.redirect_stdout(io.StringIO()):
        driver.main(["s3api", "head-bucket", "--generate-cli-skeleton"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os._exit(run_one(connection, driver))
        connection.close()


def run_one(connection, driver):
    signal_default()
    message, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 20)
    asked = json.loads(message)
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)
    own = {name: value for name, value in os.environ.items() if name == "AWS_DATA_PATH"}  # awscli's word to botocore
    os.environ.clear()
    os.environ.update(asked["environment"] | own)
    os.chdir(asked["folder"])
    sys.argv = ["aws", *asked["arguments"]]
    try:
        code = driver.main(asked["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException as end:  # what the interpreter would do with it
        print(end, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(bytes([code or 0]))
    return code or 0


def signal_default():
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def run(path, arguments):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    asked = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}).encode() + b"\n"
    sent = socket.send_fds(connection, [asked], [0, 1, 2])
    connection.sendall(asked[sent:])
    return (connection.recv(1) or b"\xff")[0]


if __name__ == "__main__":
    sys.exit(serve(sys.argv[2]) if sys.argv[1] == "serve" else run(sys.argv[2], sys.argv[3:]))
