/* Maps and unmaps by raw calls with the direction flag set. Prints "ok" where the flag and the
 * results are as they must be. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define RANGE_BYTES 32768l
#define DIRECTION 0x400ul
#define COUNT 20

static unsigned long flags_seen = DIRECTION;

static long
call_backwards(long number, long address, long protection, long flags)
{
	register long r10 __asm__("r10") = flags;
	register long r8 __asm__("r8") = -1;
	register long r9 __asm__("r9") = 0;
	unsigned long after;

	__asm__ volatile("std\n\tnop\n\tnop\n\tnop\n\tnop\n\tsyscall\n\tpushfq\n\tpopq %1\n\tcld"
			 : "+a"(number), "=b"(after)
			 : "D"(address), "S"(RANGE_BYTES), "d"(protection), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	flags_seen &= after;
	return number;
}

int
main(void)
{
	for (int i = 0; i < COUNT; i++) {
		long range = call_backwards(SYS_mmap, 0, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS);

		if (range < 0 || call_backwards(SYS_munmap, range, 0, 0) != 0)
			return 1;
	}
	if (flags_seen != DIRECTION)
		return 2;
	return puts("ok") < 0;
}
