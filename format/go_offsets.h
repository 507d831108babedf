/*
 * go_offsets.h: where the Go runtime of each version keeps what is read from outside
 *
 * Offsets of members, and sizes, in the runtime's own structs. format/go_offsets.def has one row a
 * minor version of Go, as tests/go/offsets prints it out of the debug information of a program that
 * this version has built; a test compares each row with each toolchain that is there. They hold on
 * x86-64 without GOEXPERIMENT. Bytes. Freestanding; pure functions.
 */
#ifndef VMT_GO_OFFSETS_H
#define VMT_GO_OFFSETS_H

#include <stdint.h>

#define VMT_GO_NO_OFFSET UINT32_MAX /* this version has no such member */

struct vmt_go_offsets {
	uint32_t minor;	      /* 24 of Go 1.24 */
	uint32_t heap_spans;  /* runtime.mheap: allspans, a slice of pointers to runtime.mspan */
	uint32_t heap_ranges; /* pages.inUse.ranges: a slice of pairs of addresses */
	uint32_t heap_chunks; /* pages.chunks: pointers to arrays of struct pallocData */
	uint32_t span_bytes;  /* runtime.mspan as a whole */
	uint32_t span_start;
	uint32_t span_pages;
	uint32_t span_slots;
	uint32_t span_slots_bytes; /* how wide that member is: 8, or 2 */
	uint32_t span_allocated;
	uint32_t span_class;
	uint32_t span_state;
	uint32_t span_needzero;
	uint32_t span_slot_bytes;
	uint32_t span_specials;	 /* the first of its list of runtime.special, by pointers */
	uint32_t special_next;	 /* runtime.special */
	uint32_t special_kind;	 /* one byte */
	uint32_t profile_kind;	 /* what it is of a runtime.specialprofile */
	uint32_t profile_bucket; /* in that: b */
	uint32_t g_stack_low;	 /* runtime.g */
	uint32_t g_stack_high;
	uint32_t g_status;
	uint32_t g_creator; /* where the go statement returns to */
	uint32_t p_cache;   /* runtime.p: pcache, of three words */
	uint32_t controller_bytes;
	uint32_t gc_percent; /* runtime.gcController */
	uint32_t memory_limit;
	uint32_t heap_goal;
	uint32_t heap_live;
	uint32_t heap_marked;
	uint32_t last_heap_goal;
	uint32_t heap_in_use;
	uint32_t heap_free;
	uint32_t heap_released;
	uint32_t statistics_bytes;
	uint32_t stacks_sys; /* runtime.memstats */
	uint32_t mspan_sys;
	uint32_t mcache_sys;
	uint32_t buckhash_sys;
	uint32_t gc_misc_sys;
	uint32_t other_sys;
	uint32_t last_heap_in_use;
	uint32_t heap_stats;	   /* of the first of three generations */
	uint32_t heap_stats_bytes; /* of one */
	uint32_t in_stacks;	   /* within one */
	uint32_t in_work_buffers;
	uint32_t in_bits;
};

/* version: "go1.24.4", NUL-terminated. NULL: none is known, as of a version that was built with
 * other experiments than its release. */
const struct vmt_go_offsets *vmt_go_offsets_of(const char *version);

#endif
