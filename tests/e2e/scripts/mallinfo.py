"""Prints what glibc's malloc says that it holds, headers and rounding included."""
import ctypes
import os


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]


libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo
keep = [bytes(600 + i * 7 % 30000) for i in range(4000)]
del keep[::3]
info = libc.mallinfo2()
print(info.uordblks + info.hblkhd, flush=True)
os._exit(0)
