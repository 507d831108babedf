"""Bytes of RAM that some stopped processes have together, each page frame once: pages_once.py PID...

By the frame numbers of /proc/PID/pagemap, which only root is shown; without them prints 0. The zero page is left out."""
import struct
import sys

PRESENT = 1 << 63
FRAME = (1 << 55) - 1
KPF_ZERO_PAGE = 1 << 24
PAGE = 4096

frames = set()
for pid in sys.argv[1:]:
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            if "[vsyscall]" in line or "[vvar" in line or "[vdso]" in line:
                continue  # not in Rss
            pagemap.seek(start // PAGE * 8)
            entries = pagemap.read((end - start) // PAGE * 8)
            frames.update(entry & FRAME for (entry,) in struct.iter_unpack("Q", entries) if entry & PRESENT)
if frames == {0}:
    frames = set()
with open("/proc/kpageflags", "rb", 0) if frames else open("/dev/null", "rb") as flags:
    count = 0
    for frame in frames:
        flags.seek(frame * 8)
        count += not struct.unpack("Q", flags.read(8))[0] & KPF_ZERO_PAGE
print(count * PAGE)
