/*
 * One mapping whose pages come into a state that is easily taken for another; by the first
 * argument: guard        all touched, then a part given up to MADV_GUARD_INSTALL wp           a
 * part under userfaultfd's write protection, with markers where no page is shared       a memfd,
 * all touched, a part given up by MADV_DONTNEED: the memfd still has it private      all touched, a
 * part given up by MADV_DONTNEED, and again, with nothing there sparse       one page in sixteen
 * touched, and given up one by one hugetlb-memfd, hugetlb-anonymous, hugetlb-segment a half of it
 * touched Figures: committed and never touched bytes of the mapping, bytes of hugetlb pages. Status
 * 77: the kernel does not offer it here.
 */
#include "truth.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define BYTES (8 * MIB)
#define GUARD_INSTALL 102
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4u
#endif

static size_t never, hugetlb;

static void
give_up(void *range, size_t length, int advice)
{
	if (madvise(range, length, advice))
		_exit(77);
}

NOINLINE static char *
map_pages(int flags, int fd)
{
	void *range = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (range == MAP_FAILED)
		_exit(77);
	return range;
}

static char *
map_private(void)
{
	char *range = map_pages(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(range, BYTES, MADV_NOHUGEPAGE);
	return range;
}

static char *
guard(void)
{
	char *range = map_private();

	truth_touch(range, BYTES, PAGE);
	give_up(range + MIB, 2 * MIB, GUARD_INSTALL);
	return range;
}

static char *
write_protect(void)
{
	char *range = map_private();
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	struct uffdio_api api = {.api = UFFD_API, .features = UINT64_C(1) << 13};
	struct uffdio_register reg = {.range = {(uintptr_t)range, BYTES},
				      .mode = UFFDIO_REGISTER_MODE_WP};
	struct uffdio_writeprotect protect = {.range = {(uintptr_t)range, BYTES},
					      .mode = UFFDIO_WRITEPROTECT_MODE_WP};

	truth_touch(range, MIB, PAGE);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fd, UFFDIO_WRITEPROTECT, &protect))
		_exit(77);
	never = BYTES - MIB;
	return range;
}

static char *
shared(void)
{
	int fd = memfd_create("shared", MFD_CLOEXEC);
	char *range;

	if (fd < 0 || ftruncate(fd, BYTES))
		_exit(77);
	range = map_pages(MAP_SHARED, fd);
	truth_touch(range, BYTES, PAGE);
	give_up(range, 2 * MIB, MADV_DONTNEED);
	return range;
}

static char *private(void)
{
	char *range = map_private();

	truth_touch(range, BYTES, PAGE);
	give_up(range, 2 * MIB, MADV_DONTNEED);
	give_up(range, 4 * MIB, MADV_DONTNEED);
	give_up(range, 4 * MIB, MADV_DONTNEED);
	return range;
}

static char *
sparse(void)
{
	char *range = map_private();

	truth_touch(range, BYTES, 256 * PAGE);
	for (size_t at = 0; at < BYTES; at += 256 * PAGE)
		give_up(range + at, PAGE, MADV_DONTNEED);
	never = BYTES - BYTES / 256;
	return range;
}

NOINLINE static char *
attach_segment(void)
{
	int id = shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600 | SHM_HUGETLB);
	char *range = id < 0 ? (char *)-1 : shmat(id, NULL, 0);

	if (range == (char *)-1)
		_exit(77);
	shmctl(id, IPC_RMID, NULL);
	return range;
}

static char *
huge(const char *how)
{
	int fd = -1;
	char *range;

	if (strcmp(how, "segment") == 0) {
		range = attach_segment();
	} else if (strcmp(how, "memfd") == 0) {
		fd = memfd_create("huge", MFD_HUGETLB);
		if (fd < 0 || ftruncate(fd, BYTES))
			_exit(77);
		range = map_pages(MAP_SHARED, fd);
	} else {
		range = map_pages(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	}
	truth_touch(range, BYTES / 2, MIB);
	hugetlb = BYTES / 2;
	return range;
}

static char *
make(const char *what)
{
	if (strncmp(what, "hugetlb-", 8) == 0)
		return huge(what + 8);
	if (strcmp(what, "guard") == 0)
		return guard();
	if (strcmp(what, "wp") == 0)
		return write_protect();
	if (strcmp(what, "shared") == 0)
		return shared();
	if (strcmp(what, "private") == 0)
		return private();
	if (strcmp(what, "sparse") == 0)
		return sparse();
	truth_die("argument");
	return NULL;
}

int
main(int count, char **arguments)
{
	char *range = make(count > 1 ? arguments[1] : "");

	truth_figure("committed", hugetlb ? 0 : (long long)truth_present(range, BYTES));
	truth_figure("never", (long long)never);
	truth_figure("hugetlb", (long long)hugetlb);
	return truth_end("page_states");
}
