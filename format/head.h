/*
 * head.h: the start of a trace file
 *
 * The head is made by the traced process, mapped MAP_SHARED by it and by the collector, and is
 * all that is needed to read a trace nobody collected. Regions lie where the head says, at
 * multiples of VMT_PAGE_LEAST_BYTES, in any order, between the head and the chunks (chunk.h), which
 * go from chunks_offset to the end of the file. Every offset and size is untrusted when read back:
 * vmt_head_check. docs/trace-format.md has the policy of versions, and how a field is added.
 *
 * Little-endian, natural alignment. Who writes: T = the traced process while it makes the file,
 * H = hooks at any time (atomics), C = the collector (atomics).
 */
#ifndef VMT_HEAD_H
#define VMT_HEAD_H

#include "base/pages.h"
#include "format/go.h"
#include "format/go_roles.h"
#include "format/ring.h"

#include <stdint.h>

#define VMT_MAGIC "VMTRACE"
#define VMT_VERSION 6u
#define VMT_OLDEST_VERSION 5u /* that is still read; its regions follow one another */
/* What the head of the oldest version has, and so the least that one may have; and the most. */
#define VMT_HEAD_MIN_BYTES 4736u
#define VMT_HEAD_MAX_BYTES 65536u
/* vmt_head.features: who does not know a bit of these must refuse the trace; the others say of
 * something that it is there, and can be passed over. */
#define VMT_FEATURES_REQUIRED UINT64_C(0x00000000ffffffff)
#define VMT_FEATURE_THINNED UINT64_C(1)	      /* chunks may have a level of thin.h other than 0 */
#define VMT_FEATURE_STACKS_SHARED UINT64_C(2) /* stacks share their outer frames: stack_table.h */
#define VMT_FEATURE_MANY_SHARDS UINT64_C(4)   /* shards is more than VMT_FEW_SHARDS */
/* Who discards from a ring says so first: vmt_ring.releaser. */
#define VMT_FEATURE_DISCARDS_TOLD (UINT64_C(1) << 32)
#define VMT_FEATURES_KNOWN                                                                         \
	(VMT_FEATURE_THINNED | VMT_FEATURE_STACKS_SHARED | VMT_FEATURE_MANY_SHARDS)
#define VMT_FEW_SHARDS 16u /* that every reader knows */
#define VMT_MAX_SHARDS 64u
#define VMT_NAME_BYTES 16u /* TASK_COMM_LEN, NULs to its end */
#define VMT_EXE_BYTES 512u
#define VMT_CMDLINE_BYTES 1024u

enum vmt_clock { VMT_CLOCK_MONOTONIC = 0, VMT_CLOCK_TSC = 1 };
enum vmt_malloc_mode { VMT_MALLOC_OFF = 0, VMT_MALLOC_SAMPLED = 1, VMT_MALLOC_ALL = 2 };
enum vmt_stack_mode { VMT_STACKS_NONE = 0, VMT_STACKS_FRAME_POINTER = 1, VMT_STACKS_DWARF = 2 };
enum vmt_end {
	VMT_END_RUNNING = 0, /* nobody has said */
	VMT_END_EXIT = 1,
	VMT_END_SIGNAL = 2,
	VMT_END_EXEC = 3,
	VMT_END_UNKNOWN = 4, /* ended; how was not to be learnt */
	VMT_END_STOPPED = 5, /* the recording has ended, the process goes on: status is vmt_stop */
};

/* Why a recording ended before its process: what the program ran out of when the tracer gave up
 * its own memory for it, for the most part. */
enum vmt_stop {
	VMT_STOP_NONE = 0,	    /* it goes on */
	VMT_STOP_ADDRESS_SPACE = 1, /* RLIMIT_AS */
	VMT_STOP_DATA = 2,	    /* RLIMIT_DATA */
	VMT_STOP_MAPPINGS = 3,	    /* vm.max_map_count */
	VMT_STOP_MEMORY = 4,	    /* what the kernel commits, or else */
	VMT_STOP_OWN_TRACE = 5,	    /* nothing: a process that was seen from outside has its own */
	VMT_STOP_SNAPSHOT = 6,	    /* nothing: one snapshot was all that was wanted */
	VMT_STOP_DETACHED = 7,	    /* nothing: the recorder was to leave the process by then */
};

/* head.end_status of a process that returned from main: its destructors can't see the value. */
#define VMT_STATUS_UNKNOWN (-1)

/* vmt_head.notes: things worth a line in coverage.blind_spots. */
#define VMT_NOTE_FORKED (1u << 0)	/* began in a fork child: earlier blocks are unknown */
#define VMT_NOTE_OWN_MALLOC (1u << 1)	/* the program defines malloc itself */
#define VMT_NOTE_SECCOMP (1u << 2)	/* the program installed a seccomp filter */
#define VMT_NOTE_RAW_SYSCALLS (1u << 3) /* memory calls seen through syscall() */
#define VMT_NOTE_NO_COLLECTOR (1u << 4) /* no collector could be made */
#define VMT_NOTE_MODULES_FULL (1u << 5)
#define VMT_NOTE_NESTED (1u << 6)      /* calls made inside hooks passed through unrecorded */
#define VMT_NOTE_BUFFERED (1u << 7)    /* the head lay aside: the file has what was drained */
#define VMT_NOTE_OUT_OF_STEP (1u << 8) /* the two clocks came apart: a suspend, an unsteady TSC */
#define VMT_NOTE_UNMAPPED (1u << 9)    /* the program unmapped the trace: nothing after that */
#define VMT_NOTE_VECTORS (1u << 10)    /* process_madvise of a process that nobody can name */
#define VMT_NOTE_OUTSIDE (1u << 11)    /* made by the collector, for a process that made no call */
#define VMT_NOTE_NO_FORKS (1u << 12)   /* fork children were not wanted */
#define VMT_NOTE_CHILD_UNSEEN (1u << 13) /* a fork child could not be looked at */
#define VMT_NOTE_HOLES_MOVED (1u << 14)	 /* one mremap moved a range with holes in it */
#define VMT_NOTE_PRESENT_CUT (1u << 15)	 /* more mappings before the start than PRESENT tells */
#define VMT_NOTE_NOT_IN_PROC (1u << 16)	 /* /proc does not show it: the collector left it alone */
#define VMT_NOTE_TOUCH_WANTED (1u << 17) /* page faults were to be sampled */
#define VMT_NOTE_SNAPSHOT (1u << 18)	 /* one snapshot of a process that is not recorded */
#define VMT_NOTE_ATTACHED (1u << 19)	 /* began while the process ran: PRESENT is what it had */
#define VMT_NOTE_INJECTED (1u << 20)	 /* put into a program that loads no library */
#define VMT_NOTE_WATCHED (1u << 21)	 /* snapshots over time of a process that is not recorded */

/* Two readings of the two clocks at one instant. */
struct vmt_clock_pair {
	uint64_t ticks;
	uint64_t monotonic_ns;
};

struct vmt_head {
	char magic[8];
	uint32_t version;
	uint32_t head_bytes; /* size of this struct */
	uint64_t features;   /* VMT_FEATURES_REQUIRED: unknown bits set there: the reader refuses */

	/* T: who this is. pid + start_ticks + boot_id + random_id name a process for ever. */
	uint32_t pid;
	uint32_t parent_pid;
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	unsigned char boot_id[16];
	uint64_t random_id;
	uint64_t forked_from; /* random_id of the parent's trace; 0 = a fresh image */
	uint64_t start_unix_ns;
	char exe[VMT_EXE_BYTES];	 /* NUL-terminated, cut if longer */
	char cmdline[VMT_CMDLINE_BYTES]; /* NULs between arguments; cmdline_bytes used */
	uint32_t cmdline_bytes;
	uint32_t page_bytes;

	/* T: how it was recorded. */
	uint32_t clock;	      /* enum vmt_clock */
	uint32_t malloc_mode; /* enum vmt_malloc_mode */
	uint64_t malloc_sample_bytes;
	uint32_t stack_mode; /* enum vmt_stack_mode */
	uint32_t stack_depth;
	uint64_t tracer_address; /* this library's own load address */
	struct vmt_clock_pair clock_start;

	/* T: where the regions are; bytes from the start of the file. */
	uint32_t shards; /* 1 .. VMT_MAX_SHARDS; each has one ring of either class */
	uint32_t heap_capacity;
	uint32_t map_capacity;
	uint32_t padding0;
	uint64_t controls_offset; /* struct vmt_ring [shards][VMT_RING_CLASSES] */
	uint64_t slots_offset;	  /* per shard: heap slots, then map slots */
	uint64_t stack_index_offset;
	uint64_t stack_index_entries; /* power of two */
	uint64_t stack_words_offset;
	uint64_t stack_words;
	uint64_t modules_offset;
	uint64_t modules_bytes;
	uint64_t chunks_offset; /* behind the head and all regions: what is mapped ends here */

	char name[VMT_NAME_BYTES]; /* field 2 of /proc/PID/stat; empty: not recorded */
	uint64_t mapped_bytes; /* C: what was mapped, once the file has been made smaller; else 0 */

	/* H: counters and news, each monotonic. */
	_Alignas(64) uint64_t stack_words_used;
	uint64_t modules_used;
	uint64_t stacks_dropped;  /* table full: events carry id 0 */
	uint64_t samples_dropped; /* live-sample table full: block not recorded */
	uint64_t nested_calls;	  /* passed through inside a hook */
	uint32_t notes;		  /* VMT_NOTE_* */
	uint32_t end;		  /* enum vmt_end, as the process itself said */
	int32_t end_status;	  /* as waitpid tells it, or VMT_STATUS_UNKNOWN */
	uint32_t snapshot_wanted; /* a number; the collector answers in snapshot_done */
	uint64_t hooks_left;	  /* left by a longjmp out of a signal handler, mid-way */

	/* C: */
	_Alignas(64) uint64_t heartbeat_ns; /* CLOCK_MONOTONIC of its last round */
	uint32_t collector_pid;		    /* 0 = nobody collects */
	uint32_t snapshot_done;
	struct vmt_clock_pair clock_last;
	uint32_t collected_end; /* enum vmt_end, as the collector learnt it */
	int32_t collected_status;
	uint32_t snapshot_begun; /* the one for snapshot_wanted is being taken */
	uint32_t forks_over;	 /* 1: nobody asks any more about fork children without a trace */
	/* What one page fault may bring of anonymous memory at once, where page faults are sampled:
	 * bit N: 1 << N bytes. Of all such memory; of memory advised MADV_HUGEPAGE. */
	uint32_t folios_always;
	uint32_t folios_advised;

	/* T, but for its counter (H): the Go runtime in the process. */
	_Alignas(64) struct vmt_go go;

	/* T: what the Go code of the process tells of memory calls; not in version 5. */
	struct vmt_go_code_roles go_roles;

	/* C: how large the file may get; 0 = without bound, or not known. */
	_Alignas(8) uint64_t max_bytes;
	uint64_t full_since; /* ticks: the share of events is used up, none later is in the file;
				0 = it is not */
	uint64_t traces_removed; /* of other processes of the session, by the end of this one */
	/* The pid namespace in which collector_pid is the collector's: the inode of
	 * /proc/PID/ns/pid; 0 = not known. */
	uint64_t collector_pid_namespace;
	/* T: the largest RSS of the process by getrusage when its trace began, that of programs
	 * before an exec included; 0 = not known. What EXIT and EXEC say is a peak of this program
	 * where it is more. */
	uint64_t start_peak_rss_bytes;
	/* T: system calls in the program's code that could not be led to the recorder, though they
	 * may be memory calls: the address of the first, and how many. */
	uint64_t calls_unseen_at;
	uint32_t calls_unseen;
	/* T: functions of an allocator's in the program's code that were led to the recorder. */
	uint32_t heap_functions;
	/* T: ... and that could not be: the address of the first, and how many. */
	uint64_t heap_unseen_at;
	uint32_t heap_unseen;
	uint32_t heap_is_glibc; /* T: 1: the allocator is the one that glibc brings */
	/* H: their calls by threads that the recorder had no room for. */
	uint64_t heap_missed;
};

/* Sizes a head with these numbers, sets every offset. All counts are the caller's to bound. */
void vmt_head_lay_out(struct vmt_head *head);

/* Whether a head can be used: of this version or of an older one that is read. Bytes of the struct
 * beyond head_bytes are the caller's to have zeroed. Returns NULL, or what is wrong (a static
 * string). After NULL every region is aligned, lies between the head and chunks_offset, and
 * overlaps no other; the file itself may still be shorter than chunks_offset (a cut file). */
const char *vmt_head_check(const struct vmt_head *head);

/* Handle on one ring of a head mapped at base. */
struct vmt_ring_view vmt_head_ring(const struct vmt_head *head, unsigned char *base, uint32_t shard,
				   enum vmt_ring_class ring_class);

#endif
