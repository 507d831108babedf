/*
 * sys.h: raw system calls, without libc and without errno
 *
 * The only place that issues system calls for preload and collect: inline, raw, without errno and
 * without libc, since the code runs inside other people's processes (hooked libc functions,
 * faketime libraries, half-made fork children). Each returns the kernel's value: negative errno on
 * failure. Thread and signal safe as the calls themselves are.
 */
#ifndef VMT_SYS_H
#define VMT_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__clang_analyzer__)
/* The analyzer can't look into inline assembly: what a call may write is told by a plain
 * declaration. */
long vmt_sys_call6(long number, long a, long b, long c, long d, long e, long f);
#elif defined(__x86_64__)
static inline long
vmt_sys_call6(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static inline long
vmt_sys_call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "no system call sequence for this machine"
#endif

/* Whether a call's result is a negative errno: MAX_ERRNO of include/linux/err.h. */
static inline int
vmt_sys_is_error(long result)
{
	return result < 0 && result >= -4095;
}

#define vmt_sys_call0(n) vmt_sys_call6((n), 0, 0, 0, 0, 0, 0)
#define vmt_sys_call1(n, a) vmt_sys_call6((n), (long)(a), 0, 0, 0, 0, 0)
#define vmt_sys_call2(n, a, b) vmt_sys_call6((n), (long)(a), (long)(b), 0, 0, 0, 0)
#define vmt_sys_call3(n, a, b, c) vmt_sys_call6((n), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define vmt_sys_call4(n, a, b, c, d)                                                               \
	vmt_sys_call6((n), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* Nanoseconds of a kernel clock, by system call; 0 where even that fails. */
static inline uint64_t
vmt_sys_clock_ns(clockid_t clock)
{
	struct timespec now = {0, 0};

	if (vmt_sys_call2(SYS_clock_gettime, clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The largest RSS of this process by the kernel's count: of programs before an exec too. 0: not
 * known. */
static inline uint64_t
vmt_sys_peak_rss_bytes(void)
{
	struct rusage usage = {.ru_maxrss = 0};

	if (vmt_sys_call2(SYS_getrusage, RUSAGE_SELF, &usage) < 0)
		return 0;
	return (uint64_t)usage.ru_maxrss << 10;
}

static inline int
vmt_sys_open(const char *path, int flags, unsigned mode)
{
	return (int)vmt_sys_call4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static inline long
vmt_sys_read(int fd, void *buffer, size_t length)
{
	return vmt_sys_call3(SYS_read, fd, buffer, length);
}

static inline long
vmt_sys_pread(int fd, void *buffer, size_t length, uint64_t offset)
{
	return vmt_sys_call4(SYS_pread64, fd, buffer, length, offset);
}

static inline long
vmt_sys_write(int fd, const void *buffer, size_t length)
{
	return vmt_sys_call3(SYS_write, fd, buffer, length);
}

static inline void
vmt_sys_close(int fd)
{
	vmt_sys_call1(SYS_close, fd);
}

/* Negative errno as a pointer value on failure: vmt_sys_failed. */
static inline void *
vmt_sys_mmap(void *address, size_t length, int protection, int flags, int fd, uint64_t offset)
{
	return (void *)vmt_sys_call6(SYS_mmap, (long)address, (long)length, protection, flags, fd,
				     (long)offset);
}

static inline long
vmt_sys_munmap(void *address, size_t length)
{
	return vmt_sys_call2(SYS_munmap, address, length);
}

static inline int
vmt_sys_failed(const void *pointer)
{
	return vmt_sys_is_error((long)pointer);
}

#endif
