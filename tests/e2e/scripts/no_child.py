"""Says whether this process has a child."""
import os

try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child")
