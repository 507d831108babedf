/*
 * any_arguments.h: what may memory calls be called with?
 *
 * Addresses, lengths and flags at random, edges among them, such that a call with them can do no
 * harm: what the kernel would not refuse lies in a zone of the address space where nothing else is.
 * Units: bytes. For one target that includes it.
 */
#ifndef VMT_ANY_ARGUMENTS_H
#define VMT_ANY_ARGUMENTS_H

#include <stdint.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define MIB (1ul << 20)
#define TIB (1ul << 40)
#define WINDOW (1ul << 44) /* where mappings lie */
#define WINDOW_PAGES 2048ul
#define WINDOW_BYTES (WINDOW_PAGES * PAGE)
#define ZONE_BEGIN (WINDOW - TIB) /* around it: nothing but holes */
#define ZONE_END (WINDOW + TIB)
#define SPACE_END ((1ul << 47) - PAGE)

static uint64_t state; /* of the generator */

static uint64_t
any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t
below(uint64_t bound)
{
	return (any() >> 16) % bound;
}

static uint64_t
any_address(void)
{
	static const uint64_t edges[] = {
	    0,
	    1,
	    PAGE,
	    65536,
	    WINDOW - PAGE,
	    WINDOW,
	    ZONE_END,
	    1ul << 47,
	    SPACE_END,
	    SPACE_END - PAGE,
	    1ul << 48,
	    1ul << 56,
	    1ul << 63,
	    ~0ul,
	    ~0ul - PAGE + 1,
	    ~0ul - 8191,
	    WINDOW + 1,
	    WINDOW + 2 * MIB,
	    WINDOW + 4 * MIB - PAGE,
	};

	switch (below(8)) {
	case 0:
		return edges[below(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return WINDOW + below(WINDOW_BYTES); /* unaligned */
	case 2:
		return ZONE_BEGIN + below(2 * TIB / PAGE) * PAGE;
	default:
		return WINDOW + below(WINDOW_PAGES) * PAGE;
	}
}

static uint64_t
any_length(uint64_t address)
{
	static const uint64_t edges[] = {
	    0,
	    1,
	    PAGE - 1,
	    PAGE,
	    PAGE + 1,
	    2 * MIB - 1,
	    2 * MIB,
	    1ul << 30,
	    TIB / 2,
	    1ul << 47,
	    (1ul << 47) - 8192,
	    1ul << 56,
	    1ul << 63,
	    ~0ul,
	    ~0ul - PAGE,
	    ~0ul - PAGE + 1,
	    ~0ul - 1,
	    ~0ul - 8191,
	};

	switch (below(8)) {
	case 0:
		return edges[below(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return 0 - address - below(3) * PAGE; /* to the end of all numbers, or before it */
	case 2:
		return SPACE_END - address + below(3) * PAGE;
	case 3:
		return below(64 * PAGE);
	default:
		return (1 + below(24)) * PAGE;
	}
}

/* Whether a call that takes all of a range or nothing can do no harm with this one: the kernel
 * refuses it, or it lies in the zone. */
static int
is_harmless(uint64_t address, uint64_t length)
{
	uint64_t end = address + length;

	if (address % PAGE != 0 || length == 0 || end < address || end > SPACE_END + PAGE)
		return 1;
	return address >= ZONE_BEGIN && end <= ZONE_END;
}

/* The same for calls that work on what is mapped of a range. */
static int
is_harmless_in_parts(uint64_t address, uint64_t length)
{
	uint64_t end = address + length;

	if (address >= 1ul << 47 || address % PAGE != 0 || length == 0 || end < address)
		return 1;
	return address >= ZONE_BEGIN && end <= ZONE_END;
}

static void
any_range(uint64_t *address, uint64_t *length, int (*accept)(uint64_t address, uint64_t length))
{
	do {
		*address = any_address();
		*length = any_length(*address);
	} while (!accept(*address, *length));
}

static int
any_flags(uint64_t length)
{
	static const int flags[] = {MAP_GROWSDOWN, MAP_NORESERVE, MAP_STACK,	 MAP_32BIT,
				    0x100000,	   0x80000,	  MAP_DENYWRITE, 0x4000000};
	static const int types[] = {MAP_PRIVATE,	 MAP_PRIVATE, MAP_SHARED,
				    MAP_SHARED_VALIDATE, 0,	      15};
	int chosen = types[below(6)];

	chosen |= below(3) ? MAP_ANONYMOUS : 0;
	chosen |= below(4) ? MAP_FIXED : 0;
	chosen |= below(4) ? 0 : flags[below(8)];
	if (length <= WINDOW_BYTES && below(8) == 0)
		chosen |= below(2) ? MAP_POPULATE : MAP_LOCKED;
	if (below(32) == 0)
		chosen |= MAP_HUGETLB | (int)(below(64) << MAP_HUGE_SHIFT);
	return chosen;
}

static int
any_protection(void)
{
	static const int odd[] = {PROT_NONE, PROT_GROWSDOWN, PROT_GROWSUP, 0x100, -1, 8};

	return below(16) ? (int)below(8) : odd[below(6)];
}

static int
any_advice(void)
{
	static const int advices[] = {MADV_NORMAL,
				      MADV_RANDOM,
				      MADV_SEQUENTIAL,
				      MADV_WILLNEED,
				      MADV_DONTNEED,
				      MADV_DONTNEED,
				      MADV_FREE,
				      MADV_REMOVE,
				      MADV_DONTFORK,
				      MADV_DOFORK,
				      MADV_MERGEABLE,
				      MADV_UNMERGEABLE,
				      MADV_NOHUGEPAGE,
				      MADV_DONTDUMP,
				      MADV_DODUMP,
				      MADV_WIPEONFORK,
				      MADV_KEEPONFORK,
				      MADV_COLD,
				      MADV_PAGEOUT,
				      MADV_POPULATE_READ,
				      MADV_POPULATE_WRITE,
				      24,
				      102,
				      103,
				      5,
				      104,
				      -1};

	return advices[below(sizeof(advices) / sizeof(advices[0]))];
}

static uint64_t
any_size(void)
{
	static const uint64_t edges[] = {
	    0,	       1,	  PAGE, 128 * 1024 - 24, 1ul << 31, 1ul << 32,	 1ul << 47,
	    1ul << 48, 1ul << 63, ~0ul, ~0ul - 15,	 ~0ul / 2,  ~0ul / 2 + 1};

	return below(4) ? below(300000) : edges[below(sizeof(edges) / sizeof(edges[0]))];
}

#endif
