"""Becomes a subreaper, to which orphans come back, and then python with LIBRARY, OUTPUT and SCRIPT of its arguments."""
import ctypes
import os
import sys

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
library, output, script = sys.argv[1:]
environment = dict(os.environ, LD_PRELOAD=library, VMTRACE_OUTPUT=output)
os.execve(sys.executable, [sys.executable, script], environment)
