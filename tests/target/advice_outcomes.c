/*
 * Advice that was refused, done in part, or took other than it seems: each in a function of its
 * own, with what it took by /proc/self/pagemap. Then calls by their numbers that a hook has by
 * name. Figures: NAME_taken, NAME_done and NAME_failed (ranges) of each; -1: not to be had here.
 */
#include "truth.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define BYTES (2 * MIB)
#define UNKNOWN_ADVICE 77
#define PAGEOUT 21
#define NO_FLAG 1u /* of process_madvise */
#define SEAL 462   /* mseal */

static char *
map_touched(int flags, int fd)
{
	char *range = truth_mapped(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, fd, 0));

	madvise(range, BYTES, MADV_NOHUGEPAGE);
	truth_touch(range, BYTES, PAGE);
	return range;
}

static char *
map_private(void)
{
	return map_touched(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void
say(const char *name, long long taken, int done, int failed)
{
	char figure[64];

	snprintf(figure, sizeof(figure), "%s_taken", name);
	truth_figure(figure, taken);
	snprintf(figure, sizeof(figure), "%s_done", name);
	truth_figure(figure, done);
	snprintf(figure, sizeof(figure), "%s_failed", name);
	truth_figure(figure, failed);
}

NOINLINE static long
vector_refused(int self, const struct iovec ranges[2])
{
	return process_madvise(self, ranges, 2, MADV_DONTNEED, NO_FLAG);
}

/* The second range is locked: the kernel stops there. */
NOINLINE static long
vector_partly(int self, const struct iovec ranges[2])
{
	return process_madvise(self, ranges, 2, MADV_DONTNEED, 0);
}

NOINLINE static long
vector_by_number(int self, const struct iovec ranges[2])
{
	return syscall(SYS_process_madvise, self, ranges, 2, MADV_DONTNEED, 0);
}

static void
vectors(void)
{
	int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	char *ranges[5];
	struct iovec vector[4];

	for (int i = 0; i < 5; i++)
		ranges[i] = map_private();
	if (mlock(ranges[1], BYTES))
		truth_die("mlock");
	vector[0] = (struct iovec){ranges[0], BYTES};
	vector[1] = (struct iovec){ranges[1], BYTES};
	vector[2] = (struct iovec){ranges[2], BYTES};
	vector[3] = (struct iovec){ranges[3], BYTES};
	if (vector_refused(self, vector) != -1 || errno != EINVAL)
		truth_die("vector_refused");
	say("vector_refused",
	    (long long)(2 * BYTES - truth_present(ranges[0], BYTES) -
			truth_present(ranges[1], BYTES)),
	    0, 2);
	if (vector_partly(self, vector) != (long)BYTES) {
		say("vector_partly", -1, 0, 0); /* before Linux 6.13 it takes other advice alone */
		say("vector_by_number", -1, 0, 0);
		return;
	}
	say("vector_partly",
	    (long long)(2 * BYTES - truth_present(ranges[0], BYTES) -
			truth_present(ranges[1], BYTES)),
	    1, 1);
	if (vector_by_number(self, vector + 2) != (long)(2 * BYTES))
		truth_die("vector_by_number");
	say("vector_by_number",
	    (long long)(2 * BYTES - truth_present(ranges[2], BYTES) -
			truth_present(ranges[3], BYTES)),
	    2, 0);
}

NOINLINE static int
done_then_refused(char *range)
{
	return madvise(range, BYTES, MADV_DONTNEED);
}

NOINLINE static int
half_way(char *range)
{
	return madvise(range, BYTES, MADV_DONTNEED);
}

static void
refusals(void)
{
	char *range = map_private();
	char *other = map_private();

	if (done_then_refused(range))
		truth_die("done_then_refused");
	truth_touch(range, BYTES, PAGE);
	if (mlock(range, PAGE) || done_then_refused(range) != -1)
		truth_die("refusal");
	say("done_then_refused", BYTES, 1, 1);
	if (mlock(other + BYTES / 2, BYTES / 2) || half_way(other) != -1)
		truth_die("half_way");
	say("half_way", (long long)(BYTES - truth_present(other, BYTES)), 0, 1);
}

NOINLINE static int
page_out(char *range)
{
	return madvise(range, BYTES, PAGEOUT);
}

NOINLINE static int
shared_dontneed(char *range)
{
	return madvise(range, BYTES, MADV_DONTNEED);
}

NOINLINE static int
shared_remove(char *range)
{
	return madvise(range, BYTES, MADV_REMOVE);
}

NOINLINE static int
unknown_advice(char *range)
{
	return madvise(range, BYTES, UNKNOWN_ADVICE);
}

static char *
map_shared(void)
{
	int fd = memfd_create("shared", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, BYTES))
		truth_die("memfd_create");
	return map_touched(MAP_SHARED, fd);
}

static void
outcomes(void)
{
	char *range = map_private();

	if (page_out(range) == 0)
		say("page_out", (long long)(BYTES - truth_present(range, BYTES)), 1, 0);
	else
		say("page_out", -1, 0, 0);
	range = map_shared();
	if (shared_dontneed(range))
		truth_die("shared_dontneed");
	say("shared_dontneed", (long long)(BYTES - truth_present(range, BYTES)), 1, 0);
	range = map_shared();
	if (shared_remove(range))
		truth_die("shared_remove");
	say("shared_remove", (long long)(BYTES - truth_present(range, BYTES)), 1, 0);
	range = map_private();
	if (unknown_advice(range) != -1)
		truth_die("unknown_advice");
	say("unknown_advice", (long long)(BYTES - truth_present(range, BYTES)), 0, 1);
}

static size_t
file_bytes(int fd)
{
	struct stat file;

	if (fstat(fd, &file))
		truth_die("fstat");
	return (size_t)file.st_blocks * 512;
}

NOINLINE static int
punch_hole(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, BYTES / 2);
}

NOINLINE static long
punch_by_number(int fd)
{
	return syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BYTES / 4,
		       8 * BYTES);
}

NOINLINE static int
cut_off(int fd, off_t size)
{
	return ftruncate(fd, size);
}

NOINLINE static int
punch_sealed(int fd)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE);
}

/* Its first half is read, its second half written. */
NOINLINE static int
private_file(char *range)
{
	return madvise(range, BYTES, MADV_DONTNEED);
}

/* A file in memory, all of it there. */
static int
make_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *range;

	if (fd < 0 || cut_off(fd, BYTES))
		truth_die("memfd_create");
	range = map_touched(MAP_SHARED, fd);
	if (range == NULL)
		truth_die("range");
	return fd;
}

/* Growing and allocating take nothing, and have no row. */
static void
files(void)
{
	int fd = make_file();
	size_t before = file_bytes(fd);

	if (punch_hole(fd))
		truth_die("punch_hole");
	say("punch_hole", (long long)(before - file_bytes(fd)), 1, 0);
	if (fallocate(fd, 0, 0, BYTES))
		truth_die("fallocate");
	before = file_bytes(fd);
	if (punch_by_number(fd))
		truth_die("punch_by_number");
	say("punch_by_number", (long long)(before - file_bytes(fd)), 1, 0);
	fd = make_file();
	char *range = truth_mapped(mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));

	for (size_t at = 0; at < BYTES / 2; at += PAGE)
		__asm__ volatile("" : : "r"(((volatile char *)range)[at]));
	truth_touch(range + BYTES / 2, BYTES / 2, PAGE);
	before = truth_present(range, BYTES);
	if (private_file(range))
		truth_die("private_file");
	say("private_file", (long long)(before - truth_present(range, BYTES)), 1, 0);
	fd = make_file();
	before = file_bytes(fd);
	if (cut_off(fd, BYTES / 4) || cut_off(fd, BYTES))
		truth_die("cut_off");
	say("cut_off", (long long)(before - file_bytes(fd)), 1, 0);
	fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, BYTES) || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) ||
	    punch_sealed(fd) != -1 || errno != EPERM)
		truth_die("punch_sealed");
	say("punch_sealed", 0, 0, 1);
}

NOINLINE static int
sealed_dontneed(char *range)
{
	return madvise(range, BYTES, MADV_DONTNEED);
}

/* Linux 6.10: a sealed mapping that could not be written is neither given up nor unmapped. */
static void
sealed(void)
{
	char *range = map_private();

	mprotect(range, BYTES, PROT_READ);
	if (syscall(SEAL, range, BYTES, 0)) {
		say("sealed_dontneed", -1, 0, 0);
		return;
	}
	if (sealed_dontneed(range) != -1 || munmap(range, BYTES) != -1)
		truth_die("sealed");
	say("sealed_dontneed", (long long)(BYTES - truth_present(range, BYTES)), 0, 1);
}

/* Two MLOCK, two MUNLOCK, one MPROTECT, one REMAP_FILE_PAGES, which the kernel may refuse. */
NOINLINE static void
by_number(void)
{
	char *range = map_private();

	syscall(SYS_mlock, range, PAGE);
	syscall(SYS_mlock2, range, PAGE, 0);
	syscall(SYS_munlock, range, PAGE);
	syscall(SYS_munlockall);
	syscall(SYS_pkey_mprotect, range, PAGE, PROT_READ, -1);
	syscall(SYS_remap_file_pages, range, PAGE, 0, 0, 0);
}

int
main(void)
{
	vectors();
	refusals();
	outcomes();
	files();
	sealed();
	by_number();
	return truth_end("advice_outcomes");
}
