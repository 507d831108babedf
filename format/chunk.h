/*
 * chunk.h: what the collector appends to a trace file
 *
 * Chunks follow one another from head.chunks_offset, each a header and payload_bytes of payload,
 * padded with zeros to a multiple of 8. The file is valid at every byte at which it can be cut: a
 * reader takes chunks as long as magic, sequence and checksum hold, then what the rings still have.
 *
 * Payloads (varint = LEB128 unsigned, svarint = zigzag):
 *   EVENTS    events of one ring, coded by format/columns.h. The header's ring, position_from and
 *             position_to say which positions it accounts for: a ring's slots at positions below
 *             the last position_to of its chunks are already in the file.
 *   SNAPSHOT  struct vmt_snapshot_head, then mappings and their runs (format/codec.h)
 *   USAGE     array of struct vmt_usage: the RSS line and cgroup figures
 *   END       struct vmt_chunk_end: how the process ended
 *   GO        the Go runtime's own counters at a snapshot, raw (format/go.h)
 *   TASKS     array of uint32_t: the kernel ids of all threads that there were at the chunk's time
 *   TITLE     what the process called itself from the chunk's time on: /proc/PID/cmdline, NULs
 *             between the words, at most VMT_CMDLINE_BYTES
 *   TOUCH     page faults that the kernel sampled (format/touch.h)
 *   NAMES     functions and lines of the trace's addresses, which `vmtrace pack` has added
 *             (tools/read/symbols/packed_names.h)
 *   JIT       what is new of the process's own map of the code that it compiled (jit_map.h)
 *   GO_HEAP   the inside of a Go heap at a snapshot (go_heap.h)
 *   GO_PROFILE live objects by the stacks that allocated them, as Go samples them (go_profile.h)
 *   UNTRACED  array of struct vmt_untraced: processes of the tree that have no trace (untraced.h)
 */
#ifndef VMT_CHUNK_H
#define VMT_CHUNK_H

#include "base/maps_line.h"
#include "format/head.h"

#include <stdbool.h>
#include <stdint.h>

#define VMT_CHUNK_MAGIC UINT32_C(0x43544d56) /* "VMTC" */
#define VMT_CHUNK_MAX_BYTES (UINT32_C(64) << 20)

/* A reader passes over a kind it does not know from here on. It refuses the trace for one below. */
#define VMT_CHUNK_MAY_BE_SKIPPED 0x8000u

/* X(name, kind); above stands what each holds. A switch over them has no default, so that the
 * compiler finds a forgotten one. */
#define VMT_CHUNK_KINDS(X)                                                                         \
	X(EVENTS, 1)                                                                               \
	X(SNAPSHOT, 2)                                                                             \
	X(USAGE, 3)                                                                                \
	X(END, 4)                                                                                  \
	X(GO, 5)                                                                                   \
	X(TASKS, 6)                                                                                \
	X(TITLE, VMT_CHUNK_MAY_BE_SKIPPED + 1)                                                     \
	X(ALLOCATOR, VMT_CHUNK_MAY_BE_SKIPPED + 2) /* allocator_code.h */                          \
	X(TOUCH, VMT_CHUNK_MAY_BE_SKIPPED + 3)	   /* touch.h */                                   \
	X(NAMES, VMT_CHUNK_MAY_BE_SKIPPED + 4)                                                     \
	X(JIT, VMT_CHUNK_MAY_BE_SKIPPED + 5)	    /* jit_map.h */                                \
	X(UNTRACED, VMT_CHUNK_MAY_BE_SKIPPED + 6)   /* untraced.h */                               \
	X(GO_HEAP, VMT_CHUNK_MAY_BE_SKIPPED + 7)    /* go_heap.h */                                \
	X(GO_PROFILE, VMT_CHUNK_MAY_BE_SKIPPED + 8) /* go_profile.h */                             \
	X(GO_LARGE, VMT_CHUNK_MAY_BE_SKIPPED + 9)   /* go_large.h */

enum vmt_chunk_kind {
#define X(name, kind) VMT_CHUNK_##name = (kind),
	VMT_CHUNK_KINDS(X)
#undef X
};

static inline bool
vmt_chunk_is_known(uint16_t kind)
{
	switch (kind) {
#define X(name, kind) case VMT_CHUNK_##name:
		VMT_CHUNK_KINDS(X)
#undef X
		return true;
	default:
		return false;
	}
}

#define VMT_CHUNK_ZSTD 1u /* flags: payload is one zstd frame of raw_bytes */
/* flags, SNAPSHOT: too much to write down page by page. Some mappings' runs have the right kinds
 * and sums, but stand packed at the mapping's start; or mappings are missing. */
#define VMT_CHUNK_COARSE 2u
/* flags, EVENTS: the level of thin.h at which the heap's events were taken, in the upper byte. What
 * it left out is what of the positions is in no other count. VMT_FEATURE_THINNED comes with it. */
#define VMT_CHUNK_THIN_SHIFT 8
#define VMT_CHUNK_THIN_LEVEL(flags) ((uint32_t)(flags) >> VMT_CHUNK_THIN_SHIFT)

struct vmt_chunk {
	uint32_t magic;
	uint32_t checksum; /* CRC-32C of the header with this field 0, then of the payload */
	uint16_t kind;
	uint16_t flags;
	uint32_t payload_bytes; /* as stored */
	uint32_t raw_bytes;	/* after decompression; = payload_bytes when not compressed */
	union {
		uint32_t ring;	       /* EVENTS: shard * VMT_RING_CLASSES + class */
		uint32_t record_bytes; /* SNAPSHOT, TOUCH: of its head; USAGE, UNTRACED: of one
					  record; 0: as in version 5 */
	};
	uint64_t sequence; /* 0, 1, 2 ... in the file */
	uint64_t time_min; /* ticks: earliest and latest record in the payload */
	uint64_t time_max;
	uint64_t position_from; /* EVENTS: positions accounted for, [from, to) */
	uint64_t position_to;
	uint32_t events;      /* EVENTS, TOUCH: records in the payload */
	uint32_t abandoned;   /* EVENTS: positions given up as never committed */
	uint32_t overwritten; /* EVENTS: positions found discarded by their producers */
	uint32_t dead;	      /* EVENTS: positions stepped over */
};

_Static_assert(sizeof(struct vmt_chunk) == 80, "chunk headers are 80 bytes");

/* Where the pages of a snapshot were read. */
enum vmt_residency_source {
	VMT_RESIDENCY_NONE = 0,
	VMT_RESIDENCY_PAGEMAP_SCAN = 1,
	VMT_RESIDENCY_PAGEMAP = 2,
	VMT_RESIDENCY_MINCORE = 3,
};

enum vmt_snapshot_reason {
	VMT_SNAPSHOT_FIRST = 1,
	VMT_SNAPSHOT_GROWTH = 2,
	VMT_SNAPSHOT_PERIODIC = 3,
	VMT_SNAPSHOT_EXIT = 4,
	VMT_SNAPSHOT_REQUEST = 5,
};

/* VMT_FIGURE_UNKNOWN marks a figure that the system did not give. */
#define VMT_FIGURE_UNKNOWN UINT64_MAX

/*
 * What the kernel counts of a process (Documentation/filesystems/proc.rst), or VMT_FIGURE_UNKNOWN.
 * The first eight are of /proc/PID/status, read before the scan; the others of smaps_rollup, where
 * that was read behind it. The three of RSS are counters that may lag, by rss_error_bytes together.
 */
struct vmt_kernel_figures {
	uint64_t anonymous_bytes;      /* RssAnon: private copies of file pages included */
	uint64_t file_bytes;	       /* RssFile */
	uint64_t shared_memory_bytes;  /* RssShmem: tmpfs, memfd, System V, shared anonymous */
	uint64_t swap_bytes;	       /* VmSwap: of private memory alone */
	uint64_t page_table_bytes;     /* VmPTE: not in RSS */
	uint64_t locked_bytes;	       /* VmLck: address space, in RAM or not */
	uint64_t hugetlb_bytes;	       /* HugetlbPages: not in RSS */
	uint64_t rss_error_bytes;      /* see collect/kernel_counters.h */
	uint64_t proportional_bytes;   /* Pss */
	uint64_t private_bytes;	       /* Private_Clean + Private_Dirty */
	uint64_t shared_bytes;	       /* Shared_Clean + Shared_Dirty */
	uint64_t anonymous_huge_bytes; /* AnonHugePages */
	uint64_t locked_rss_bytes;     /* Locked: the process's part of what is locked and in RAM */
};

/* Grows at its end alone: what an older trace's lacks is VMT_FIGURE_UNKNOWN (format/codec.h). */
struct vmt_snapshot_head {
	uint64_t time; /* ticks at which the mappings had been read: replay up to here */
	uint64_t monotonic_ns;
	uint64_t duration_ns;
	uint64_t cpu_ns;	   /* spent by the collector on it */
	uint64_t rss_before_bytes; /* /proc/PID/statm around the scan, or smaps_rollup behind it */
	uint64_t rss_after_bytes;
	uint64_t resident_bytes; /* what the scan itself found: present and not the zero page */
	uint64_t swap_bytes;
	uint64_t huge_bytes;
	uint64_t lazyfree_bytes; /* from smaps_rollup, where read; else VMT_FIGURE_UNKNOWN */
	uint64_t virtual_bytes;
	uint32_t mappings;
	uint32_t runs;
	uint16_t source; /* enum vmt_residency_source */
	uint16_t reason; /* enum vmt_snapshot_reason */
	uint32_t index;	 /* 0, 1, 2 ... in the file */
	struct vmt_kernel_figures kernel;
	uint64_t
	    shared_rss_bytes; /* of resident_bytes, what is in other mappings too, of this process
				 or another: VMT_RUN_SHARED; VMT_FIGURE_UNKNOWN where not asked */
	uint64_t proportional_anonymous_bytes; /* Pss_Anon of smaps_rollup: of the kernel's
						  proportional_bytes, private copies */
	uint64_t peak_rss_bytes; /* VmHWM, read before the scan: see struct vmt_usage */
};

/* A run of pages alike: VMT_RUN_* bits. */
#define VMT_RUN_PRESENT 1u
#define VMT_RUN_SWAPPED 2u
#define VMT_RUN_HUGE 4u
#define VMT_RUN_FILE 8u
#define VMT_RUN_ZERO 16u    /* the zero page: present, but not RSS */
#define VMT_RUN_HUGETLB 32u /* alone: a hugetlb page, in RAM and not in RSS */
#define VMT_RUN_SHARED 64u  /* with PRESENT: in other mappings too, of this process or another */

struct vmt_run {
	uint64_t start;
	uint64_t bytes;
	uint32_t kind;
};

/* Grows at its end alone, as the head of a snapshot. */
struct vmt_usage {
	uint64_t time;
	uint64_t monotonic_ns;
	uint64_t rss_bytes;
	uint64_t virtual_bytes;
	uint64_t cgroup_current_bytes; /* VMT_FIGURE_UNKNOWN where not to be had */
	uint64_t cgroup_peak_bytes;    /* as the kernel counts it, since the cgroup was made */
	uint64_t cgroup_limit_bytes;
	uint64_t cgroup_anon_bytes;
	uint64_t cgroup_file_bytes;
	uint64_t cgroup_oom_kills;
	uint64_t cgroup_shmem_bytes; /* of cgroup_file_bytes: tmpfs, memfd, System V */
	/* VmHWM of /proc/PID/status: the largest RSS of this address space up to now, by the
	 * kernel's own counters, which may lag (collect/kernel_counters.h). The kernel notes it
	 * before pages go (update_hiwater_rss in mm/), so no peak is missed, however short. */
	uint64_t peak_rss_bytes;
};

struct vmt_chunk_end {
	uint64_t time;
	uint64_t monotonic_ns;
	uint32_t end;	/* enum vmt_end */
	int32_t status; /* exit status, or signal */
	uint64_t collector_cpu_ns;
	uint64_t snapshots_skipped; /* wanted, but over the budget of time or size */
	/* The larger of what EXIT and EXEC said (event_kinds.def), and of what the kernel told who
	 * waited for the process. 0 = not known; older traces end before it. */
	uint64_t peak_rss_bytes;
};

#define VMT_CHUNK_END_LEAST_BYTES 40u

#endif
