"""Four workers, made by the method of the argument, say their pids when they all live, and wait for the end of input."""
import multiprocessing
import os
import sys


def work(barrier, queue, stop):
    global keep
    keep = [b"x" * (1 << 20) for _ in range(16)]
    barrier.wait()
    queue.put(os.getpid())
    stop.wait()


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    barrier, queue, stop = context.Barrier(4), context.Queue(), context.Event()
    workers = [context.Process(target=work, args=(barrier, queue, stop)) for _ in range(4)]
    for worker in workers:
        worker.start()
    print(sorted(queue.get() for _ in workers), flush=True)
    sys.stdin.read()
    stop.set()
    for worker in workers:
        worker.join()
    sys.exit(sum(worker.exitcode for worker in workers))
