/* Advice that gives back at once, under pressure, or not at all, and advice that takes. */
#include "tests/target/truth.h"

#include <errno.h>

#define LENGTH (16 * MIB)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct truth_site plain = {.kind = "mmap", .function = "map_plain"};

static NOINLINE char *
map_plain(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
map_populated(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE char *
map_huge(void)
{
	return truth_mapped(
	    mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static NOINLINE void
dont_need(char *range, size_t length)
{
	struct truth_advice said = {"MADV_DONTNEED", "dont_need", 1, length,
				    truth_present(range, length)};

	plain.released_committed_bytes += said.committed_before_bytes;
	if (madvise(range, length, MADV_DONTNEED) != 0)
		truth_die("MADV_DONTNEED");
	truth_advice(&said);
}

static NOINLINE void
may_free(char *range, size_t length)
{
	struct truth_advice said = {"MADV_FREE", "may_free", 1, length,
				    truth_present(range, length)};

	plain.released_committed_bytes += said.committed_before_bytes;
	if (madvise(range, length, MADV_FREE) != 0)
		truth_die("MADV_FREE");
	truth_advice(&said);
}

static NOINLINE void
fail_to_advise(char *range)
{
	if (madvise(range + 1, PAGE, MADV_DONTNEED) != -1 || errno != EINVAL)
		truth_die("advice about an odd address");
	if (madvise(range, PAGE, 12345) != -1 || errno != EINVAL)
		truth_die("unknown advice");
	if (posix_madvise(range, PAGE, POSIX_MADV_DONTNEED) != 0)
		truth_die("POSIX_MADV_DONTNEED, which does nothing");
}

/* 1 where the kernel knows the advice (Linux 5.14). */
static NOINLINE int
populate(char *range, size_t length)
{
	return madvise(range, length, MADV_POPULATE_WRITE) == 0;
}

static NOINLINE int
ask_for_huge(char *range)
{
	return madvise(range, LENGTH, MADV_HUGEPAGE) == 0;
}

static void
say(struct truth_site site, char *range)
{
	site.kind = "mmap";
	site.count = site.live_count = 1;
	site.reserved_bytes = site.accessible_bytes = site.total_reserved_bytes = LENGTH;
	site.committed_bytes = truth_present(range, LENGTH);
	truth_site(&site);
}

int
main(void)
{
	char *range = map_plain();
	char *populated = map_populated();
	char *huge = map_huge();

	truth_touch(range, LENGTH, PAGE);
	dont_need(range + 2 * MIB, 4 * MIB);
	may_free(range + 8 * MIB, 2 * MIB);
	fail_to_advise(range);
	truth_figure("populated", populate(populated, 6 * MIB));
	truth_figure("huge_asked", ask_for_huge(huge));
	truth_touch(huge, 5 * MIB, PAGE);
	say(plain, range);
	say((struct truth_site){.function = "map_populated"}, populated);
	say((struct truth_site){.function = "map_huge"}, huge);
	return truth_end("advice");
}
