/* The look at a range's committed bytes, against ranges whose pages this test has touched itself.
 */
#include "format/event.h"
#include "preload/look.h"
#include "preload/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)

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
	vmt_look_note_file((uintptr_t)range, length);
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
	uint64_t bytes = vmt_look_committed((uintptr_t)range, length, &found);

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
	expect(range, 4 * MIB, 1024, VMT_MARK_LOOKED);
	assert_int_equal(madvise(range, 3 * MIB, MADV_DONTNEED), 0);
	expect(range, 4 * MIB, 256, VMT_MARK_LOOKED);
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
	vmt_look_note_file((uintptr_t)range, 2 * MIB);
	for (size_t page = 0; page < 512; page++)
		sink = (char)(sink + range[page * PAGE]);
	touch(range, 0, 8, 1);
	expect(range, 2 * MIB, 8, VMT_MARK_LOOKED);
	munmap(range, 2 * MIB);
}

static void
test_huge_pages(void **state)
{
	char *range =
	    mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(range, MAP_FAILED);
	if (madvise(range, 8 * MIB, MADV_HUGEPAGE) != 0)
		puts("skip: no huge pages here; the range is looked at with small ones");
	memset(range, 1, 8 * MIB);
	expect(range, 8 * MIB, 2048, VMT_MARK_LOOKED);
	munmap(range, 8 * MIB);
}

/* Over the limit: a sample, marked, unbiased for an even range, and never more than the range. */
static void
test_sampled(void **state)
{
	size_t length = (size_t)VMT_LOOK_LIMIT_BYTES * 4;
	char *range = map_anonymous(length);
	uint8_t marks = 0;
	uint64_t bytes;

	(void)state;
	expect(range, length, 0, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	touch(range, 0, length / PAGE, 128);
	bytes = vmt_look_committed((uintptr_t)range, length, &marks);
	assert_int_equal(marks, VMT_MARK_LOOKED | VMT_MARK_SAMPLED);
	assert_in_range(bytes, length / 128 - length / 2560, length / 128 + length / 2560);
	bytes = vmt_look_committed((uintptr_t)range, VMT_LOOK_LIMIT_BYTES, &marks);
	assert_int_equal(marks, VMT_MARK_LOOKED);
	assert_int_equal(bytes, VMT_LOOK_LIMIT_BYTES / 128);
	munmap(range, length);
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
	vmt_state_process.no_syscalls = true;
	expect(range, PAGE, 0, 0);
	vmt_state_process.no_syscalls = false;
	expect(range, PAGE, 1, VMT_MARK_LOOKED);
	munmap(range, PAGE);
}

static void
test_errno_is_kept(void **state)
{
	uint8_t marks;

	(void)state;
	errno = 77;
	vmt_look_committed(4096, PAGE, &marks);
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

	return vmt_look_committed((uintptr_t)range, length, &found) == pages * PAGE &&
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

/* Addresses far from any that the other tests note, in every granule of what is noted. */
static void
test_notes(void **state)
{
	uint64_t base = UINT64_C(0x100000000000);

	(void)state;
	assert_false(vmt_look_is_file(base, 2 * MIB));
	vmt_look_note_file(base + 3 * PAGE, 6 * MIB);
	for (uint64_t at = base; at < base + 6 * MIB; at += 2 * MIB)
		assert_true(vmt_look_is_file(at, PAGE));
	assert_true(vmt_look_is_file(base + 6 * MIB, PAGE));
	assert_false(vmt_look_is_file(base + 8 * MIB, 2 * MIB));
	vmt_look_note_file(base + 100 * MIB, 0);
	assert_false(vmt_look_is_file(base + 100 * MIB, 2 * MIB));
	assert_false(vmt_look_is_file(base, 0));
}

/* Last: from here on every range counts as noted. */
static void
test_note_of_everything(void **state)
{
	uint64_t base = UINT64_C(0x200000000000);

	(void)state;
	assert_false(vmt_look_is_file(base, PAGE));
	vmt_look_note_file(UINT64_C(0x300000000000), UINT64_C(1) << 40);
	assert_true(vmt_look_is_file(base, PAGE));
	test_anonymous(state);
	test_holes(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_anonymous),	  cmocka_unit_test(test_advice_and_protection),
	    cmocka_unit_test(test_holes),	  cmocka_unit_test(test_shared_file),
	    cmocka_unit_test(test_private_file),  cmocka_unit_test(test_zero_page),
	    cmocka_unit_test(test_huge_pages),	  cmocka_unit_test(test_sampled),
	    cmocka_unit_test(test_nothing),	  cmocka_unit_test(test_seccomp),
	    cmocka_unit_test(test_errno_is_kept), cmocka_unit_test(test_without_statuses),
	    cmocka_unit_test(test_notes),	  cmocka_unit_test(test_note_of_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
