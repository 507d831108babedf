"""A server that loads a cache and forks four workers, as gunicorn --preload does. Asks itself some questions, prints the
workers' pids, and stays until the end of input."""
import os
import socket
import sys

WORKERS = 4
QUESTIONS = 40

cache = {str(number): "value %d" % number * 10 for number in range(60000)}
listening = socket.create_server(("127.0.0.1", 0), backlog=QUESTIONS)


def work():
    served = []
    while True:
        connection, _ = listening.accept()
        with connection:
            question = connection.recv(100).decode()
            served.append(cache[question] * 100)
            connection.sendall(cache[question].encode())


def start():
    pid = os.fork()
    if pid == 0:
        work()
    return pid


pids = [start() for _ in range(WORKERS)]
for number in range(QUESTIONS):
    with socket.create_connection(listening.getsockname()) as connection:
        connection.sendall(str(number).encode())
        assert connection.recv(1000).decode() == cache[str(number)]
print(*pids, flush=True)
sys.stdin.read()
for pid in pids:
    os.kill(pid, 15)
    os.waitpid(pid, 0)
