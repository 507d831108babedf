/*
 * random_sites.h: with which functions does a random program map and move, and what is refused?
 *
 * One function a site, so that each is a row of the report. Sites of SITES, those from FIRST_MREMAP
 * on are moves.
 */
#ifndef RANDOM_SITES_H
#define RANDOM_SITES_H

#include "tests/target/truth.h"

#include <errno.h>

#define SITES 14u
#define FIRST_MREMAP 12u

#define MAPS(n)                                                                                    \
	static NOINLINE char *map_##n(char *at, size_t length, int protection, int flags, int fd)  \
	{                                                                                          \
		return truth_mapped(mmap(at, length, protection, flags | MAP_FIXED, fd, 0));       \
	}
#define MOVES(n)                                                                                   \
	static NOINLINE char *move_##n(char *from, size_t length, size_t kept, char *to)           \
	{                                                                                          \
		return truth_mapped(                                                               \
		    mremap(from, length, kept, MREMAP_MAYMOVE | MREMAP_FIXED, to));                \
	}
MAPS(0)
MAPS(1)
MAPS(2)
MAPS(3)
MAPS(4)
MAPS(5)
MAPS(6)
MAPS(7)
MAPS(8)
MAPS(9)
MAPS(10)
MAPS(11)
MOVES(12)
MOVES(13)

typedef char *maps(char *at, size_t length, int protection, int flags, int fd);
static maps *const mappers[] = {map_0, map_1, map_2, map_3, map_4,  map_5,
				map_6, map_7, map_8, map_9, map_10, map_11};
static const char *const names[SITES] = {"map_0",  "map_1",  "map_2",	"map_3",  "map_4",
					 "map_5",  "map_6",  "map_7",	"map_8",  "map_9",
					 "map_10", "map_11", "move_12", "move_13"};

static inline void
refuse(bool refused, const char *what)
{
	if (!refused)
		truth_die(what);
}

/* Nothing of this may change a figure. */
static inline void
refuse_all(char *at)
{
	void *hint = at + 1;

	refuse(munmap(at + 1, PAGE) == -1 && errno == EINVAL, "munmap of an odd address");
	refuse(munmap(at, 0) == -1 && errno == EINVAL, "munmap of nothing");
	refuse(munmap(at, SIZE_MAX - PAGE) == -1 && errno == EINVAL, "munmap of all");
	refuse(madvise(at + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL, "odd advice");
	refuse(madvise(at, PAGE, 12345) == -1 && errno == EINVAL, "unknown advice");
	refuse(mprotect(at + 1, PAGE, PROT_NONE) == -1 && errno == EINVAL, "odd mprotect");
	refuse(mmap(hint, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		       MAP_FAILED &&
		   errno == EINVAL,
	       "an odd place");
	refuse(mmap(NULL, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
		   errno == EINVAL,
	       "nothing");
	refuse(mmap(NULL, (size_t)1 << 50, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED &&
		   errno == ENOMEM,
	       "a petabyte");
	refuse(mremap(hint, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL, "an odd mremap");
	refuse(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 9999, 0) == MAP_FAILED && errno == EBADF,
	       "no file");
}

#endif
