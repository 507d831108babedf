/*
 * truth.h: what did this program really do with its memory?
 *
 * A target program keeps its own books, reads /proc/self/pagemap for what is committed, and says it
 * all in one line of JSON on stdout:
 *
 *   { "program": NAME, "pid": N,
 *     "sites":   [ { "kind", "function", "count", "live_count", "reserved_bytes",
 * "accessible_bytes", "committed_bytes", "total_reserved_bytes", "released_bytes",
 *                    "released_committed_bytes" } ],
 *     "advice":  [ { "advice", "function", "calls", "bytes", "committed_before_bytes" } ],
 *     "figures": { NAME: N } }
 *
 * "function" is the innermost frame, a noinline function that makes this call alone. The meaning of
 * each figure is that of the report. After the line the program stands still until its standard
 * input closes, and then exits; so a test can look at it from outside. Its own functions allocate
 * nothing, but for truth_one_mapping.
 */
#ifndef TRUTH_H
#define TRUTH_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE ((size_t)4096)
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

struct truth_site {
	const char *kind;
	const char *function;
	size_t count;
	size_t live_count;
	size_t reserved_bytes;
	size_t accessible_bytes;
	size_t committed_bytes;
	size_t total_reserved_bytes;
	size_t released_bytes;
	size_t released_committed_bytes;
};

struct truth_advice {
	const char *advice;
	const char *function;
	size_t calls;
	size_t bytes;
	size_t committed_before_bytes;
};

struct truth_text {
	size_t used;
	char bytes[64 * 1024];
};

static struct truth_text truth_sites, truth_advices, truth_figures, truth_line;

static inline void
truth_die(const char *what)
{
	dprintf(2, "target: %s failed\n", what);
	_exit(99);
}

__attribute__((format(printf, 2, 3))) static inline void
truth_add(struct truth_text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text->bytes + text->used, sizeof(text->bytes) - text->used, format,
			   arguments);
	va_end(arguments);
	text->used += (size_t)length;
	if (text->used >= sizeof(text->bytes))
		truth_die("room for the truth");
}

/* Bytes of [from, to) that lie in the page with this number. */
static inline size_t
truth_overlap(uint64_t page, uint64_t from, uint64_t to)
{
	uint64_t start = page * PAGE > from ? page * PAGE : from;
	uint64_t end = (page + 1) * PAGE < to ? (page + 1) * PAGE : to;

	return end > start ? end - start : 0;
}

/* Bytes of a range whose pages are present in this process's page table. */
static inline size_t
truth_present(const void *range, size_t length)
{
	static __thread uint64_t entries[512];
	uint64_t from = (uintptr_t)range, to = from + length;
	uint64_t page = from / PAGE, end = (to + PAGE - 1) / PAGE;
	size_t present = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		truth_die("open of pagemap");
	while (page < end) {
		size_t want = end - page < 512 ? end - page : 512;

		if (pread(fd, entries, want * 8, (off_t)(page * 8)) != (ssize_t)(want * 8))
			truth_die("read of pagemap");
		for (size_t i = 0; i < want; i++)
			if (entries[i] >> 63)
				present += truth_overlap(page + i, from, to);
		page += want;
	}
	close(fd);
	return present;
}

/* Whether the kernel has the range as one mapping, or as a part of one: pages that were protected
 * apart may stay apart. */
static inline bool
truth_one_mapping(const void *range, size_t length)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long low, high;
	char line[512];
	bool found = false;

	if (!maps)
		truth_die("open of maps");
	while (!found && fgets(line, sizeof(line), maps) != NULL)
		found = sscanf(line, "%lx-%lx", &low, &high) == 2 && low <= (uintptr_t)range &&
			(uintptr_t)range + length <= high;
	fclose(maps);
	return found;
}

static inline void
truth_site(const struct truth_site *site)
{
	truth_add(&truth_sites,
		  "%s{\"kind\":\"%s\",\"function\":\"%s\",\"count\":%zu,\"live_count\":%zu,"
		  "\"reserved_bytes\":%zu,\"accessible_bytes\":%zu,\"committed_bytes\":%zu,"
		  "\"total_reserved_bytes\":%zu,\"released_bytes\":%zu,"
		  "\"released_committed_bytes\":%zu}",
		  truth_sites.used ? "," : "", site->kind, site->function, site->count,
		  site->live_count, site->reserved_bytes, site->accessible_bytes,
		  site->committed_bytes, site->total_reserved_bytes, site->released_bytes,
		  site->released_committed_bytes);
}

static inline void
truth_advice(const struct truth_advice *advice)
{
	truth_add(&truth_advices,
		  "%s{\"advice\":\"%s\",\"function\":\"%s\",\"calls\":%zu,\"bytes\":%zu,"
		  "\"committed_before_bytes\":%zu}",
		  truth_advices.used ? "," : "", advice->advice, advice->function, advice->calls,
		  advice->bytes, advice->committed_before_bytes);
}

static inline void
truth_figure(const char *name, long long value)
{
	truth_add(&truth_figures, "%s\"%s\":%lld", truth_figures.used ? "," : "", name, value);
}

/* Says the line; the program goes on. */
static inline void
truth_say(const char *program)
{
	size_t said = 0;

	truth_line.used = 0;
	truth_add(&truth_line,
		  "{\"program\":\"%s\",\"pid\":%d,\"sites\":[%s],\"advice\":[%s],"
		  "\"figures\":{%s}}\n",
		  program, (int)getpid(), truth_sites.bytes, truth_advices.bytes,
		  truth_figures.bytes);
	while (said < truth_line.used) {
		ssize_t some = write(1, truth_line.bytes + said, truth_line.used - said);

		if (some <= 0)
			truth_die("write");
		said += (size_t)some;
	}
}

/* Until standard input closes. */
static inline void
truth_stand_still(void)
{
	char byte;

	while (read(0, &byte, 1) > 0)
		;
}

static inline int
truth_end(const char *program)
{
	truth_say(program);
	truth_stand_still();
	return 0;
}

/* For a range that the call itself must make: dies rather than go on with other figures. */
static inline char *
truth_mapped(void *range)
{
	if (range == MAP_FAILED)
		truth_die("mmap");
	return range;
}

static inline void
truth_touch(char *range, size_t length, size_t step)
{
	for (size_t at = 0; at < length; at += step)
		((volatile char *)range)[at] = 1;
}

#endif
