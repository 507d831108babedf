"""Eight threads that make long texts."""
import threading

lengths = []


def work(i):
    lengths.append(len(str(2 ** (i * 1999))))


threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(lengths))
