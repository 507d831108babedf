/* Which mappings are made of hugetlb pages, in every way to make one. Needs root, for pages to be
 * lent and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/procfs.h"
#include "collect/hugetlb.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define PAGES_FILE "/proc/sys/vm/nr_hugepages"

static long pages_before = -1;

static bool
set_pages(long pages)
{
	FILE *file = fopen(PAGES_FILE, "w");
	bool written = file && fprintf(file, "%ld\n", pages) > 0;

	return file && fclose(file) == 0 && written;
}

static long
get_pages(void)
{
	FILE *file = fopen(PAGES_FILE, "r");
	long pages = -1;

	if (file && fscanf(file, "%ld", &pages) != 1)
		pages = -1;
	if (file)
		fclose(file);
	return pages;
}

static int
lend(void **state)
{
	(void)state;
	pages_before = get_pages();
	if (pages_before >= 0)
		set_pages(pages_before + 8);
	return 0;
}

static int
give_back(void **state)
{
	(void)state;
	if (pages_before >= 0)
		set_pages(pages_before);
	return 0;
}

struct look {
	uint64_t address;
	struct vmt_hugetlb hugetlb;
	bool found;
	bool is;
};

static bool
visit(void *context, const struct vmt_mapping *mapping)
{
	struct look *look = context;

	if (look->address < mapping->start || look->address >= mapping->end)
		return true;
	look->found = true;
	look->is = vmt_hugetlb_has(&look->hugetlb, mapping);
	return false;
}

static bool
is_hugetlb(const void *address, bool by_smaps, uint64_t held_bytes)
{
	static char text[65536];
	struct look look = {.address = (uintptr_t)address,
			    .hugetlb = {.maps_fd = vmt_procfs_open(0, "maps"),
					.page_bytes = 4096,
					.held_bytes = held_bytes,
					.by_smaps = by_smaps}};
	int fd = vmt_procfs_open(0, "maps");

	assert_true(fd >= 0 && look.hugetlb.maps_fd >= 0);
	assert_int_equal(vmt_procfs_walk_maps(fd, text, sizeof(text), visit, &look), 0);
	close(fd);
	close(look.hugetlb.maps_fd);
	assert_true(look.found);
	return look.is;
}

static void
check(char *at, bool expected)
{
	*(volatile char *)at = 1;
	assert_int_equal(is_hugetlb(at, false, VMT_FIGURE_UNKNOWN), expected);
	assert_int_equal(is_hugetlb(at, true, VMT_FIGURE_UNKNOWN), expected);
	/* The kernel counts none in this process: smaps is not read. */
	assert_false(is_hugetlb(at, true, 0));
}

static void
every_kind_of_hugetlb_mapping(void **state)
{
	int fd = memfd_create("pages", MFD_HUGETLB);
	int id = shmget(IPC_PRIVATE, 2 * MIB, IPC_CREAT | 0600 | SHM_HUGETLB);
	char *anonymous = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char *shared = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char *file, *segment;

	(void)state;
	if (fd < 0 || id < 0 || anonymous == MAP_FAILED || shared == MAP_FAILED) {
		print_message("skip: no hugetlb pages to be had\n");
		skip();
	}
	assert_int_equal(ftruncate(fd, 2 * (off_t)MIB), 0);
	file = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	segment = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	assert_true(file != MAP_FAILED && segment != (char *)-1);
	check(anonymous, true);
	check(shared, true);
	check(file, true);
	check(segment, true);
	munmap(anonymous, 2 * MIB);
	munmap(shared, 2 * MIB);
	munmap(file, 2 * MIB);
	shmdt(segment);
	close(fd);
}

/* Large, aligned, with a file behind them, and of ordinary pages. */
static void
ordinary_mappings_are_none(void **state)
{
	int fd = memfd_create("data", 0);
	char *at;

	(void)state;
	assert_int_equal(ftruncate(fd, 8 * (off_t)MIB), 0);
	at = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(at != MAP_FAILED);
	at = mmap((void *)(((uintptr_t)at + 2 * MIB) & ~(2 * MIB - 1)), 2 * MIB,
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	check(at, false);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_kind_of_hugetlb_mapping),
	    cmocka_unit_test(ordinary_mappings_are_none),
	};

	return cmocka_run_group_tests_name("hugetlb", tests, lend, give_back);
}
