/* A random program: argv[1] is its seed. Threads map, replace, move, protect, advise, touch and
 * unmap in windows of their own, fork children that do the same to their copy, and try what the
 * kernel refuses. Each keeps books page by page; what was resident is read from pagemap before each
 * release.
 *
 * A release of several calls' pages is made only where all of them, or none, are resident: there
 * the share of each is known. Anonymous memory is written, never read first, so no zero page is
 * there.
 */
#include "tests/target/random_sites.h"
#include "tests/target/truth.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGES 256u /* of a window */
#define THREADS_MAX 4u
#define STEPS 120u
#define CHILD_STEPS 20u
#define HOLE 0u

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

enum advice_row { DONTNEED, MAY_FREE, GUARD, PUNCH, ADVICES };
#define GUARD_INSTALL 102

struct page {
	uint32_t call; /* HOLE, or the number of the call that mapped it */
	uint8_t site;
	uint8_t protection;
	bool shared;
	bool file;
	bool guard; /* a guard page: may not be touched */
};

struct window {
	char *base;
	uint64_t seed;
	uint32_t calls;
	int memfd;
	struct page pages[PAGES];
	struct truth_site sites[SITES];
	struct truth_advice advice[ADVICES];
};

static const char *const advices[ADVICES][2] = {{"MADV_DONTNEED", "dont_need"},
						{"MADV_FREE", "may_free"},
						{"MADV_GUARD_INSTALL", "install_guard"},
						{"fallocate(PUNCH_HOLE)", "punch"}};
static struct window windows[THREADS_MAX];
static bool has_guards; /* Linux 6.13 */

static uint32_t
draw(struct window *window, uint32_t below)
{
	window->seed ^= window->seed << 13;
	window->seed ^= window->seed >> 7;
	window->seed ^= window->seed << 17;
	return (uint32_t)(window->seed >> 32) % below;
}

static NOINLINE int
dont_need(char *at, size_t length)
{
	return madvise(at, length, MADV_DONTNEED);
}

static NOINLINE int
may_free(char *at, size_t length)
{
	return madvise(at, length, MADV_FREE);
}

static NOINLINE int
install_guard(char *at, size_t length)
{
	return madvise(at, length, GUARD_INSTALL);
}

static NOINLINE int
punch(int fd, off_t at, off_t length)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
}

static char *
address_of(const struct window *window, uint32_t page)
{
	return window->base + page * PAGE;
}

static size_t
present(const struct window *window, uint32_t first, uint32_t count)
{
	return truth_present(address_of(window, first), count * PAGE);
}

static uint32_t
mapped_pages(const struct window *window, uint32_t first, uint32_t count)
{
	uint32_t mapped = 0;

	for (uint32_t page = first; page < first + count; page++)
		mapped += window->pages[page].call != HOLE;
	return mapped;
}

/* Whether all pages are one call's, with one protection. */
static bool
is_uniform(const struct window *window, uint32_t first, uint32_t count)
{
	const struct page *head = &window->pages[first];

	for (uint32_t page = first; page < first + count; page++)
		if (window->pages[page].call != head->call ||
		    window->pages[page].protection != head->protection ||
		    window->pages[page].guard != head->guard)
			return false;
	return head->call != HOLE;
}

/* Whether it is known from which calls the resident pages of a range are. */
static bool
can_be_shared_out(const struct window *window, uint32_t first, uint32_t count)
{
	uint32_t call = HOLE;
	bool one = true;
	size_t resident = present(window, first, count);

	for (uint32_t page = first; page < first + count; page++) {
		uint32_t owner = window->pages[page].call;

		one &= owner == HOLE || call == HOLE || owner == call;
		call = owner ? owner : call;
	}
	return one || resident == 0 || resident == mapped_pages(window, first, count) * PAGE;
}

static void
pick_range(struct window *window, uint32_t *first, uint32_t *count)
{
	*first = draw(window, PAGES);
	*count = 1 + draw(window, draw(window, 4) ? 12 : 60);
	if (*count > PAGES - *first)
		*count = PAGES - *first;
}

/* The books of a release; `space`: the address space goes too. */
static void
release(struct window *window, uint32_t first, uint32_t count, bool space)
{
	for (uint32_t page = first; page < first + count; page++) {
		struct page *gone = &window->pages[page];

		if (gone->call == HOLE)
			continue;
		window->sites[gone->site].released_committed_bytes += present(window, page, 1);
		if (!space)
			continue;
		window->sites[gone->site].released_bytes += PAGE;
		gone->call = HOLE;
	}
}

static void
acquire(struct window *window, uint32_t first, uint32_t count, struct page as, uint32_t site)
{
	as.call = ++window->calls;
	as.site = (uint8_t)site;
	window->sites[site].count++;
	window->sites[site].total_reserved_bytes += count * PAGE;
	for (uint32_t page = first; page < first + count; page++)
		window->pages[page] = as;
}

static void
do_map(struct window *window)
{
	static const int protections[] = {PROT_NONE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
					  PROT_READ | PROT_WRITE};
	uint32_t site = draw(window, FIRST_MREMAP);
	struct page as = {.protection = (uint8_t)protections[draw(window, 4)],
			  .shared = site % 3 == 1,
			  .file = site % 3 == 2};
	int flags = as.file ? (site % 2 ? MAP_SHARED : MAP_PRIVATE)
			    : (as.shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS;
	uint32_t first, count;

	pick_range(window, &first, &count);
	if (!can_be_shared_out(window, first, count))
		return;
	release(window, first, count, true);
	mappers[site](address_of(window, first), count * PAGE, as.protection, flags,
		      as.file ? window->memfd : -1);
	acquire(window, first, count, as, site);
}

static void
do_unmap(struct window *window)
{
	uint32_t first, count;

	pick_range(window, &first, &count);
	if (!can_be_shared_out(window, first, count))
		return;
	release(window, first, count, true);
	/* An odd length is rounded up to whole pages. */
	if (munmap(address_of(window, first), count * PAGE - draw(window, 2) * 100) != 0)
		truth_die("munmap");
}

static void
do_touch(struct window *window)
{
	uint32_t first, count;
	uint32_t step = 1 + draw(window, 3);

	pick_range(window, &first, &count);
	for (uint32_t page = first; page < first + count; page += step)
		if (window->pages[page].call != HOLE && !window->pages[page].guard &&
		    window->pages[page].protection & PROT_WRITE)
			*(volatile char *)address_of(window, page) = 1;
}

static void
do_protect(struct window *window)
{
	int protection = draw(window, 2) ? PROT_READ | PROT_WRITE : PROT_NONE;
	uint32_t first, count;

	pick_range(window, &first, &count);
	if (mapped_pages(window, first, count) != count) {
		/* The kernel changes what lies before the hole and then says no. */
		if (mprotect(address_of(window, first), count * PAGE, protection) != -1 ||
		    errno != ENOMEM)
			truth_die("mprotect over a hole");
		for (uint32_t page = first; window->pages[page].call != HOLE; page++)
			window->pages[page].protection = (uint8_t)protection;
		return;
	}
	if (mprotect(address_of(window, first), count * PAGE, protection) != 0)
		truth_die("mprotect");
	for (uint32_t page = first; page < first + count; page++)
		window->pages[page].protection = (uint8_t)protection;
}

static bool
is_private_anonymous(const struct window *window, uint32_t first, uint32_t count)
{
	for (uint32_t page = first; page < first + count; page++)
		if (window->pages[page].shared || window->pages[page].file)
			return false;
	return true;
}

static void
do_advise(struct window *window)
{
	static int (*const calls[])(char *at, size_t length) = {dont_need, may_free, install_guard};
	enum advice_row row = (enum advice_row)draw(window, has_guards ? 3 : 2);
	struct truth_advice *said = &window->advice[row];
	uint32_t first, count;

	pick_range(window, &first, &count);
	if (mapped_pages(window, first, count) != count ||
	    !can_be_shared_out(window, first, count) ||
	    (row != DONTNEED && !is_private_anonymous(window, first, count)))
		return;
	said->calls++;
	said->bytes += count * PAGE;
	said->committed_before_bytes += present(window, first, count);
	release(window, first, count, false);
	if (calls[row](address_of(window, first), count * PAGE) != 0)
		truth_die("madvise");
	for (uint32_t page = first; row == GUARD && page < first + count; page++)
		window->pages[page].guard = true;
}

static size_t
file_bytes(const struct window *window)
{
	struct stat file;

	if (fstat(window->memfd, &file) != 0)
		truth_die("fstat");
	return (size_t)file.st_blocks * 512;
}

/* Out of the file, wherever it is mapped: no call's books change. */
static void
do_punch(struct window *window)
{
	struct truth_advice *said = &window->advice[PUNCH];
	size_t before = file_bytes(window);
	uint32_t first, count;

	pick_range(window, &first, &count);
	if (punch(window->memfd, (off_t)(first * PAGE), (off_t)(count * PAGE)) != 0)
		truth_die("fallocate");
	said->calls++;
	said->bytes += count * PAGE;
	said->committed_before_bytes += before - file_bytes(window);
}

/* To a place of its own in the window; a part may stay behind, and is released. */
static void
do_move(struct window *window)
{
	uint32_t site = FIRST_MREMAP + draw(window, 2);
	uint32_t first, count, to, kept;
	struct page as;

	pick_range(window, &first, &count);
	to = draw(window, PAGES);
	kept = 1 + draw(window, count);
	if (!is_uniform(window, first, count) || to + kept > PAGES ||
	    (to < first + count && first < to + kept) || !can_be_shared_out(window, to, kept) ||
	    !truth_one_mapping(address_of(window, first), count * PAGE))
		return;
	as = window->pages[first];
	release(window, to, kept, true);
	release(window, first + kept, count - kept, true);
	(site == FIRST_MREMAP ? move_12 : move_13)(address_of(window, first), count * PAGE,
						   kept * PAGE, address_of(window, to));
	for (uint32_t page = first; page < first + kept; page++) {
		window->sites[as.site].released_bytes += PAGE;
		window->pages[page].call = HOLE;
	}
	acquire(window, to, kept, as, site);
}

static void run_steps(struct window *window, uint32_t steps, bool may_fork);

/* The child's changes are its own copy's. */
static void
do_fork(struct window *window)
{
	pid_t child = fork();

	if (child == 0) {
		run_steps(window, CHILD_STEPS, false);
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		truth_die("fork");
}

static void
run_steps(struct window *window, uint32_t steps, bool may_fork)
{
	for (uint32_t step = 0; step < steps; step++) {
		uint32_t what = draw(window, 64);

		if (what < 14)
			do_map(window);
		else if (what < 22)
			do_unmap(window);
		else if (what < 42)
			do_touch(window);
		else if (what < 48)
			do_protect(window);
		else if (what < 55)
			do_advise(window);
		else if (what < 60)
			do_move(window);
		else if (what < 61)
			do_punch(window);
		else if (what < 63)
			refuse_all(address_of(window, draw(window, PAGES)));
		else if (may_fork)
			do_fork(window);
	}
}

static void *
run_thread(void *context)
{
	run_steps(context, STEPS, true);
	return NULL;
}

static void
make_window(struct window *window, uint64_t seed)
{
	window->seed = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	window->memfd = memfd_create("random", MFD_CLOEXEC);
	if (window->memfd < 0 || ftruncate(window->memfd, PAGES * PAGE) != 0)
		truth_die("memfd");
	/* Far from where the kernel puts what has no place of its own: nobody else maps there. */
	window->base = (char *)(UINT64_C(0x100000000000) + ((seed % THREADS_MAX) << 30));
	for (uint32_t i = 0; i < ADVICES; i++)
		window->advice[i] =
		    (struct truth_advice){.advice = advices[i][0], .function = advices[i][1]};
}

/* What the pages of a window hold now. A call lives as long as one of its pages does. */
static void
count_pages(struct window *window)
{
	static bool seen[THREADS_MAX * STEPS + CHILD_STEPS];

	memset(seen, 0, sizeof(seen));
	for (uint32_t page = 0; page < PAGES; page++) {
		const struct page *here = &window->pages[page];
		struct truth_site *site = &window->sites[here->site];

		if (here->call == HOLE)
			continue;
		site->reserved_bytes += PAGE;
		site->accessible_bytes += here->protection != PROT_NONE ? PAGE : 0;
		site->committed_bytes += present(window, page, 1);
		site->live_count += !seen[here->call];
		seen[here->call] = true;
	}
}

static void
say_site(uint32_t index, uint32_t threads)
{
	struct truth_site sum = {.kind = index < FIRST_MREMAP ? "mmap" : "mremap",
				 .function = names[index]};

	for (uint32_t i = 0; i < threads; i++) {
		const struct truth_site *part = &windows[i].sites[index];

		sum.count += part->count;
		sum.live_count += part->live_count;
		sum.reserved_bytes += part->reserved_bytes;
		sum.accessible_bytes += part->accessible_bytes;
		sum.committed_bytes += part->committed_bytes;
		sum.total_reserved_bytes += part->total_reserved_bytes;
		sum.released_bytes += part->released_bytes;
		sum.released_committed_bytes += part->released_committed_bytes;
	}
	truth_site(&sum);
}

static void
say_advice(enum advice_row row, uint32_t threads)
{
	struct truth_advice sum = windows[0].advice[row];

	for (uint32_t i = 1; i < threads; i++) {
		sum.calls += windows[i].advice[row].calls;
		sum.bytes += windows[i].advice[row].bytes;
		sum.committed_before_bytes += windows[i].advice[row].committed_before_bytes;
	}
	truth_advice(&sum);
}

int
main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	uint32_t threads = 1 + (uint32_t)(seed % THREADS_MAX);
	pthread_t others[THREADS_MAX];

	has_guards = madvise(truth_mapped(mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
			     PAGE, GUARD_INSTALL) == 0;
	for (uint32_t i = 0; i < threads; i++)
		make_window(&windows[i], seed * THREADS_MAX + i);
	for (uint32_t i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, run_thread, &windows[i]) != 0)
			truth_die("pthread_create");
	run_thread(&windows[0]);
	for (uint32_t i = 1; i < threads; i++)
		pthread_join(others[i], NULL);
	for (uint32_t i = 0; i < threads; i++)
		count_pages(&windows[i]);
	for (uint32_t i = 0; i < SITES; i++)
		say_site(i, threads);
	for (uint32_t i = 0; i < ADVICES; i++)
		say_advice(i, threads);
	return truth_end("random_maps");
}
