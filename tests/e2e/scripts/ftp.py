"""Starts vsftpd on files of $D and prints what it answers. Argument: YES or NO, with its seccomp filter or without."""
import ftplib
import hashlib
import os
import socket
import subprocess
import sys
import time

place = os.environ["D"]
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open(place + "/conf", "w") as conf:
    conf.write(f"""listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
xferlog_enable=NO
anon_root={place}/ftp
secure_chroot_dir={place}/empty
seccomp_sandbox={sys.argv[1]}
""")
server = subprocess.Popen(["vsftpd", place + "/conf"])
ftp = ftplib.FTP()
while True:
    try:
        ftp.connect("127.0.0.1", port, 20)
        break
    except ConnectionRefusedError:
        time.sleep(.02)
    assert server.poll() is None
digest = hashlib.md5()
steps = [ftp.login, lambda: ftp.cwd("pub"), ftp.pwd]
steps += [lambda command=command: ftp.voidcmd(command) for command in ["NOOP", "SYST", "HELP", "TYPE I"]]
# With its filter bookworm's vsftpd dies of its own fstat once a file is asked for: that is left out.
if sys.argv[1] == "NO":
    steps += [lambda: ftp.retrbinary("RETR numbers", digest.update), digest.hexdigest, ftp.nlst, ftp.quit]
for step in steps:
    print(step())
ftp.close()
while subprocess.run(["pgrep", "-P", str(server.pid)], stdout=subprocess.DEVNULL).returncode == 0:
    time.sleep(.02)
server.terminate()
print(server.wait())
