/* The probe of a range's committed bytes, against ranges whose pages this test has touched. */
#include "capture/core/guard.h"
#include "capture/record/file_ranges.h"
#include "capture/record/resident_probe.h"
#include "format/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define UNUSED ((uintptr_t)1 << 45)

/* Small pages only, so that what is touched is what is committed. */
static char *
map_anonymous(size_t length)
{
	char *range = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(range, MAP_FAILED);
	assert_int_equal(madvise(range, length, MADV_NOHUGEPAGE), 0);
	return range;
}

/* Where no test has had a file. */
static char *
map_anonymous_at(uintptr_t address, size_t length)
{
	void *at = (void *)address; /* NOLINT(performance-no-int-to-ptr) */
	char *range =
	    mmap(at, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_equal(range, at);
	return range;
}

static char *
map_file(size_t length, int flags)
{
	int fd = memfd_create("look", MFD_CLOEXEC);
	char *range;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)length), 0);
	range = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);
	assert_ptr_not_equal(range, MAP_FAILED);
	close(fd);
	vmt_file_ranges_note((uintptr_t)range, length);
	return range;
}

static void
touch(char *range, size_t first, size_t end, size_t step)
{
	for (size_t page = first; page < end; page += step)
		range[page * PAGE] = 1;
}

static void
expect(const char *range, size_t length, size_t pages, uint8_t marks)
{
	uint8_t found = 255;
	uint64_t bytes = vmt_resident_probe_committed((uintptr_t)range, length, &found);

	assert_int_equal(bytes, pages * PAGE);
	assert_int_equal(found, marks);
}

static void
test_anonymous(void **state)
{
	char *range = map_anonymous(64 * MIB);

	(void)state;
	expect(range, 64 * MIB, 0, VMT_MARK_LOOKED);
	touch(range, 0, 64 * MIB / PAGE, 3);
	expect(range, 64 * MIB, (64 * MIB / PAGE + 2) / 3, VMT_MARK_LOOKED);
	expect(range + PAGE, 3 * PAGE, 1, VMT_MARK_LOOKED);
	expect(range, 1, 1, VMT_MARK_LOOKED);
	expect(range + 3 * PAGE + 100, 1, 1, VMT_MARK_LOOKED);
	expect(range + PAGE, 2 * PAGE, 0, VMT_MARK_LOOKED);
	munmap(range, 64 * MIB);
}

static void
test_advice_and_protection(void **state)
{
	char *range = map_anonymous(8 * MIB);

	(void)state;
	touch(range, 0, 2048, 1);
	assert_int_equal(mprotect(range, 4 * MIB, PROT_NONE), 0);
	expect(range, 8 * MIB, 2048, VMT_MARK_LOOKED);
	assert_int_equal(madvise(range + 4 * MIB, 2 * MIB, MADV_DONTNEED), 0);
	expect(range, 8 * MIB, 1536, VMT_MARK_LOOKED);
	munmap(range, 8 * MIB);
}

/* Holes of every kind: at the start, between, at the end, several in one granule, nothing at all.
 */
static void
test_holes(void **state)
{
	char *range = map_anonymous(8 * MIB);

	(void)state;
	touch(range, 0, 2048, 1);
	munmap(range + 10 * PAGE, 5 * PAGE);
	munmap(range + 20 * PAGE, PAGE);
	expect(range, 8 * MIB, 2042, VMT_MARK_LOOKED);
	munmap(range, PAGE);
	expect(range, 8 * MIB, 2041, VMT_MARK_LOOKED);
	munmap(range + 2047 * PAGE, PAGE);
	expect(range, 8 * MIB, 2040, VMT_MARK_LOOKED);
	munmap(range, 8 * MIB);
	expect(range, 8 * MIB, 0, VMT_MARK_LOOKED);
}

/* Pages of the page cache that this process has not touched are not its own. */
static void
test_shared_file(void **state)
{
	char *range = map_file(4 * MIB, MAP_SHARED);

	(void)state;
	touch(range, 0, 1024, 1);
	expect(range, MIB, 256, VMT_MARK_LOOKED);
	assert_int_equal(madvise(range, 100 * PAGE, MADV_DONTNEED), 0);
	expect(range, MIB / 2, 28, VMT_MARK_LOOKED);
	munmap(range, 4 * MIB);
}

static void
test_private_file(void **state)
{
	char *range = map_file(4 * MIB, MAP_PRIVATE);

	(void)state;
	expect(range, 4 * MIB, 0, VMT_MARK_LOOKED);
	touch(range, 100, 200, 2);
	expect(range, 4 * MIB, 50, VMT_MARK_LOOKED);
	munmap(range, 4 * MIB);
}

/* The zero page is known for what it is where a range has been noted. */
static void
test_zero_page(void **state)
{
	char *range = map_anonymous(2 * MIB);
	volatile char sink = 0;

	(void)state;
	vmt_file_ranges_note((uintptr_t)range, 2 * MIB);
	for (size_t page = 0; page < 100; page++)
		sink = (char)(sink + range[page * PAGE]);
	touch(range, 0, 8, 1);
	expect(range, 2 * MIB, 8, VMT_MARK_LOOKED);
	munmap(range, 2 * MIB);
}

static void
test_huge_pages(void **state)
{
	char *range = map_anonymous_at(UNUSED, 8 * MIB);

	(void)state;
	if (madvise(range, 8 * MIB, MADV_HUGEPAGE) != 0)
		puts("skip: no huge pages here; the range is looked at with small ones");
	memset(range, 1, 8 * MIB);
	expect(range, 8 * MIB, 2048, VMT_MARK_LOOKED);
	munmap(range, 8 * MIB);
}

/* What lies beyond the budget is sampled and marked: about as much as there is, on average over
 * many looks, and never more than the range. */
static void
test_sampled(void **state)
{
	size_t length = 4096 * MIB;
	char *range = map_anonymous(length);
	uint64_t sum = 0;

	(void)state;
	expect(range, length, 0, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	touch(range, 0, length / PAGE, 64);
	for (int look = 0; look < 200; look++) {
		uint8_t marks = 0;
		uint64_t bytes = vmt_resident_probe_committed((uintptr_t)range, length, &marks);

		assert_int_equal(marks, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
		assert_int_equal(bytes % PAGE, 0);
		assert_in_range(bytes, 0, length);
		sum += bytes;
	}
	/* 6,400 points hit 1 in 64: the mean is off by less than a half, 5 standard deviations */
	assert_in_range(sum / 200, length / 128, length / 43);
	munmap(range, length);
}

/* What is resident pays for its look: 256 MiB with every second page are exact. So is the part of a
 * range that is resident, where the rest is sampled and found empty. */
static void
test_resident_is_exact(void **state)
{
	size_t length = 256 * MIB;
	char *range = map_anonymous(4 * length);
	uint8_t marks;

	(void)state;
	touch(range, 0, length / PAGE, 2);
	expect(range, length, length / PAGE / 2, VMT_MARK_LOOKED);
	assert_int_equal(vmt_resident_probe_committed((uintptr_t)range, 4 * length, &marks),
			 length / 2);
	assert_int_equal(marks, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	munmap(range, 4 * length);
}

/* A file that others have read, and of which this process has nothing: 512 KiB are exact. */
static void
test_cached_file(void **state)
{
	char *range = map_file(64 * MIB, MAP_SHARED);

	(void)state;
	touch(range, 0, 64 * MIB / PAGE, 1);
	assert_int_equal(madvise(range, 64 * MIB, MADV_DONTNEED), 0);
	expect(range, MIB / 2, 0, VMT_MARK_LOOKED);
	expect(range, 64 * MIB, 0, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	touch(range, 0, 8 * MIB / PAGE, 1);
	expect(range, MIB, MIB / PAGE, VMT_MARK_LOOKED);
	expect(range, 8 * MIB, 8 * MIB / PAGE, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	munmap(range, 64 * MIB);
}

/* Of a long range that is a file's one page in 16 is asked, so that each look is near the truth,
 * and the mean of many as near as it gets. */
static void
test_sampled_file(void **state)
{
	size_t length = 8 * MIB;
	char *range = map_file(length, MAP_SHARED);
	uint64_t third = (length / PAGE + 2) / 3 * PAGE;
	uint64_t sum = 0;

	(void)state;
	touch(range, 0, length / PAGE, 3);
	for (int look = 0; look < 100; look++) {
		uint8_t marks = 0;
		uint64_t bytes = vmt_resident_probe_committed((uintptr_t)range, length, &marks);

		assert_int_equal(marks, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
		/* about 110 points hit 1 in 3: 13 % of it are a standard deviation */
		assert_in_range(bytes, third / 3, third * 5 / 3);
		sum += bytes;
	}
	assert_in_range(sum / 100, third * 14 / 15, third * 16 / 15);
	munmap(range, length);
}

/* Small mappings far apart in a range of any length are found, as long as they are few. */
static void
test_far_apart(void **state)
{
	size_t length = (size_t)1 << 44;
	char *range =
	    mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)state;
	assert_ptr_not_equal(range, MAP_FAILED);
	munmap(range, length);
	expect(range, length, 0, VMT_MARK_LOOKED);
	assert_ptr_equal(mmap(range + (length / 3 & ~(PAGE - 1)), MIB, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1,
			      0),
			 range + (length / 3 & ~(PAGE - 1)));
	expect(range, length, MIB / PAGE, VMT_MARK_LOOKED);
	munmap(range, length);
}

/* System calls that a look makes in a child, between two that it makes of its own. */
static long
count_calls(const char *range, size_t length)
{
	pid_t child = fork();
	long stops = 0;
	int marks = 0;
	int status;

	if (child == 0) {
		uint8_t found;

		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		syscall(SYS_getpgid, 0);
		vmt_resident_probe_committed((uintptr_t)range, length, &found);
		syscall(SYS_getpgid, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	while (!WIFEXITED(status)) {
		struct user_regs_struct registers;

		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status))
			break;
		assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &registers), 0);
		if (registers.orig_rax == SYS_getpgid)
			marks++;
		else if (registers.orig_rax != SYS_clock_gettime) /* stops make it slow */
			stops += marks == 2;			  /* its entry and its exit */
	}
	assert_int_equal(marks, 4);
	return stops / 2;
}

/* Bounded whatever the range is; the kernel facts of look.h say what a call takes. */
static void
test_calls(void **state)
{
	size_t gib = 1024 * MIB;
	char *range = map_anonymous(gib);
	char *many = map_anonymous(gib);

	(void)state;
	for (size_t page = 0; page < gib / PAGE / 64; page += 2)
		assert_int_equal(munmap(many + page * PAGE, PAGE), 0);
	assert_in_range(count_calls(range, PAGE), 1, 1);
	assert_in_range(count_calls(range, 64 * 1024), 1, 1);
	/* 5 to 9 of mincore, 3 of move_pages */
	assert_in_range(count_calls(range, gib), 1, 12);
	assert_in_range(count_calls(many, gib), 1, 140); /* 64 over holes, as many of mincore */
	touch(range, 0, gib / PAGE, 512);
	assert_in_range(count_calls(range, gib), 1, 12);
	touch(range, 0, gib / PAGE, 1);
	/* 16 MiB a call, but where an earlier test has had files at its addresses */
	assert_in_range(count_calls(range, gib), 1, 256);
	munmap(range, gib);
	munmap(many, gib);
	assert_in_range(count_calls(range, gib), 1, 3);
	assert_in_range(count_calls((char *)((uintptr_t)1 << 45), gib), 1, 3);
	assert_in_range(count_calls((char *)4096, ((size_t)1 << 47) - 16384), 1, 200);
	assert_in_range(count_calls(range, SIZE_MAX - (uintptr_t)range), 0, 200);
}

/* mincore is asked first only where most pages of a file are not this process's own. */
static void
test_calls_of_files(void **state)
{
	char *range = map_file(4 * MIB, MAP_PRIVATE); /* a fork child has these pages, too */
	char *shared = map_file(4 * MIB, MAP_SHARED);
	char *other;

	(void)state;
	touch(range, 0, 1024, 1);
	touch(shared, 0, 1024, 1);
	assert_int_equal(count_calls(range, 16 * PAGE), 1);
	/* 256 pages, and 1 in 16 of 768; fewer where the stops of the trace use its time up */
	assert_in_range(count_calls(range, 4 * MIB), 1, (256 + 768 / 16) / 16);
	assert_in_range(count_calls(shared, 4 * MIB), 1, (256 + 768 / 16) / 16);
	expect(range, 4 * MIB, 1024, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	expect(shared, 4 * MIB, 1024, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	other = mremap(shared, 0, 4 * MIB, MREMAP_MAYMOVE); /* the same pages, touched nowhere */
	assert_ptr_not_equal(other, MAP_FAILED);
	vmt_file_ranges_note((uintptr_t)other, 4 * MIB);
	expect(other, 112 * PAGE, 0, VMT_MARK_LOOKED);
	munmap(other, 4 * MIB);
	munmap(shared, 4 * MIB);
	munmap(range, 4 * MIB);
}

/* Each page a mapping: what all of them take is not waited for. */
static void
test_small_mappings(void **state)
{
	size_t pages = 30000;
	char *range = map_anonymous(pages * PAGE);
	uint8_t marks;

	(void)state;
	for (size_t page = 0; page < pages; page += 2)
		assert_int_equal(mprotect(range + page * PAGE, PAGE, PROT_READ), 0);
	touch(range, 1, pages, 2);
	assert_in_range(vmt_resident_probe_committed((uintptr_t)range, pages * PAGE, &marks),
			pages * PAGE / 8, pages * PAGE * 7 / 8);
	assert_int_equal(marks, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	munmap(range, pages * PAGE);
}

/* What wraps, or lies beyond the address space, is not looked at. */
static void
test_beyond(void **state)
{
	char *range = map_anonymous(PAGE);

	(void)state;
	range[0] = 1;
	expect((char *)((uintptr_t)1 << 63), SIZE_MAX >> 1, 0, 0);
	expect((char *)((uintptr_t)1 << 63), PAGE, 0, 0);
	expect(range, SIZE_MAX, 0, 0);
	expect((char *)-4096, 4096, 0, 0);
	expect((char *)-4096, 1, 0, 0);
	expect((char *)4097, SIZE_MAX, 0, 0);
	munmap(range, PAGE);
}

/* Ranges of one call share one budget; what it does not reach is not known. */
static void
test_within(void **state)
{
	struct vmt_resident_probe_budget budget = VMT_RESIDENT_PROBE_BUDGET;
	char *range = map_anonymous(1024 * MIB);
	unsigned known = 0;

	(void)state;
	for (int look = 0; look < 1024; look++) {
		uint8_t marks;

		vmt_resident_probe_within(&budget, (uintptr_t)range, MIB, &marks);
		known += marks == VMT_MARK_LOOKED;
		assert_true(marks == 0 || (marks & VMT_MARK_LOOKED));
	}
	assert_in_range(known, 50, 60); /* 18432 / (256 + 64) */
	munmap(range, 1024 * MIB);
}

static void
test_nothing(void **state)
{
	char *range = map_anonymous(PAGE);

	(void)state;
	range[0] = 1;
	expect(range, 0, 0, 0);
	expect((char *)-4096, SIZE_MAX, 0, 0);
	munmap(range, PAGE);
}

static void
test_seccomp(void **state)
{
	char *range = map_anonymous(PAGE);

	(void)state;
	range[0] = 1;
	vmt_guard.no_syscalls = true;
	expect(range, PAGE, 0, 0);
	vmt_guard.no_syscalls = false;
	expect(range, PAGE, 1, VMT_MARK_LOOKED);
	munmap(range, PAGE);
}

static void
test_errno_is_kept(void **state)
{
	uint8_t marks;

	(void)state;
	errno = 77;
	vmt_resident_probe_committed(4096, PAGE, &marks);
	assert_int_equal(errno, 77);
}

/* Makes move_pages answer EPERM from here on, as containers' filters do. */
static bool
refuse_move_pages(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_move_pages, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static bool
says(const char *range, size_t length, size_t pages, uint8_t marks)
{
	uint8_t found = 255;

	return vmt_resident_probe_committed((uintptr_t)range, length, &found) == pages * PAGE &&
	       (found & marks) == marks;
}

/* In a child, as a filter cannot be taken back: holes are still stepped over, and file pages are
 * counted by the page cache, which the mark says. The anonymous range may carry that mark too,
 * where an earlier test has had a file at its addresses. */
static void
test_without_statuses(void **state)
{
	char *holes = map_anonymous(4 * MIB);
	char *file = map_file(2 * MIB, MAP_SHARED);
	pid_t child;
	int status;

	(void)state;
	touch(holes, 0, 1024, 1);
	munmap(holes + 5 * PAGE, 700 * PAGE);
	touch(file, 0, 512, 1);
	assert_int_equal(madvise(file, MIB, MADV_DONTNEED), 0);
	child = fork();
	if (child == 0) {
		uint8_t whole = VMT_MARK_LOOKED | VMT_MARK_PAGE_CACHE;

		_exit(!refuse_move_pages()			    ? 1
		      : !says(holes, 4 * MIB, 324, VMT_MARK_LOOKED) ? 2
		      : !says(file, 2 * MIB, 512, whole)	    ? 3
								    : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	munmap(holes, 4 * MIB);
	munmap(file, 2 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_anonymous),
	    cmocka_unit_test(test_advice_and_protection),
	    cmocka_unit_test(test_holes),
	    cmocka_unit_test(test_shared_file),
	    cmocka_unit_test(test_private_file),
	    cmocka_unit_test(test_zero_page),
	    cmocka_unit_test(test_huge_pages),
	    cmocka_unit_test(test_sampled),
	    cmocka_unit_test(test_resident_is_exact),
	    cmocka_unit_test(test_cached_file),
	    cmocka_unit_test(test_sampled_file),
	    cmocka_unit_test(test_far_apart),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_calls_of_files),
	    cmocka_unit_test(test_small_mappings),
	    cmocka_unit_test(test_beyond),
	    cmocka_unit_test(test_within),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_seccomp),
	    cmocka_unit_test(test_errno_is_kept),
	    cmocka_unit_test(test_without_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
