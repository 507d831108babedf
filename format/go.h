/*
 * go.h: what a trace says of the Go runtime in the process
 *
 * The head carries one struct vmt_go, filled while the library initialises: which raw system calls
 * of the runtime are seen (sites), and where the runtime keeps its counters (objects). With every
 * snapshot the collector appends a GO chunk with the raw bytes of those objects:
 *
 *   struct vmt_go_counters, then `objects` times:
 *   struct vmt_go_object, then object.bytes bytes as they lay in the process, padded with zeros to
 *   a multiple of 8
 *
 * The same symbol may come twice, for a program and a shared object. Bytes are raw and untrusted;
 * the layout of the objects is the Go version's, as the binary's DWARF describes it. An object
 * longer than VMT_GO_OBJECT_MAX_BYTES is cut there. Objects that could not be read are missing.
 * Texts are NUL-terminated. Units: bytes.
 */
#ifndef VMT_FORMAT_GO_H
#define VMT_FORMAT_GO_H

#include <stdint.h>

#define VMT_GO_SITES 16u
#define VMT_GO_OBJECTS 8u
#define VMT_GO_SYMBOL_BYTES 64u
#define VMT_GO_WHY_BYTES 55u
#define VMT_GO_VERSION_BYTES 40u
#define VMT_GO_OBJECT_MAX_BYTES (UINT32_C(64) << 10)

/* A raw system call of the runtime, or one that was looked for in vain (address 0). */
struct vmt_go_site {
	uint64_t address;		  /* of the instruction, at run time */
	char symbol[VMT_GO_SYMBOL_BYTES]; /* the function it is in */
	uint8_t patched;		  /* 1: its calls are recorded; 0: see why */
	char why[VMT_GO_WHY_BYTES];	  /* empty where patched */
};

_Static_assert(sizeof(struct vmt_go_site) == 128, "Go sites are 128 bytes");

/* An object of the runtime's: run-time address, size by the symbol table. */
struct vmt_go_object {
	uint64_t address;
	uint64_t bytes;
	char symbol[VMT_GO_SYMBOL_BYTES]; /* runtime.memstats ... */
};

_Static_assert(sizeof(struct vmt_go_object) == 80, "Go objects are 80 bytes");

/* Objects that the collector copies as they are. */
#define VMT_GO_STATISTICS_SYMBOL "runtime.memstats"
#define VMT_GO_CONTROLLER_SYMBOL "runtime.gcController"
/* Objects that the collector does not copy, but reads what they lead to (go_heap.h). */
#define VMT_GO_HEAP_SYMBOL "runtime.mheap_"
#define VMT_GO_GOROUTINES_SYMBOL "runtime.allgs"
#define VMT_GO_PROCESSORS_SYMBOL "runtime.allp"
#define VMT_GO_PROFILE_SYMBOL "runtime.mbuckets" /* go_profile.h; so are the next two */
#define VMT_GO_PROFILE_CYCLE_SYMBOL "runtime.mProfCycle"
#define VMT_GO_PROFILE_RATE_SYMBOL "runtime.MemProfileRate"

#define VMT_GO_CGO 1u	   /* flags: runtime/cgo is linked in */
#define VMT_GO_STRIPPED 2u /* no symbol table: functions by .gopclntab, objects unknown */
#define VMT_GO_OFF 4u	   /* VMTRACE_GO=off: the text was left alone */
#define VMT_GO_RACE 8u	   /* built with the race detector */
/* It would have kept no memory profile, and keeps one as VMTRACE_GO_HEAP asked for it. */
#define VMT_GO_PROFILE_ON 16u
#define VMT_GO_SEVERAL 32u /* further files of the process have runtimes, too */

struct vmt_go {
	char version[VMT_GO_VERSION_BYTES]; /* "go1.24.4"; empty: no Go runtime was found */
	uint32_t flags;			    /* VMT_GO_CGO ... */
	uint32_t sites_count;
	uint32_t objects_count;
	uint32_t padding;
	uint64_t text_low; /* [low, high): code of Go functions, 0 = not known */
	uint64_t text_high;
	uint64_t missed_calls; /* made unrecorded as no stack for recording was free (atomic) */
	struct vmt_go_site sites[VMT_GO_SITES];
	struct vmt_go_object objects[VMT_GO_OBJECTS];
};

/* Start of a GO chunk's payload. */
struct vmt_go_counters {
	uint64_t time; /* ticks when the objects had been read */
	uint64_t monotonic_ns;
	uint32_t snapshot; /* index of the snapshot that follows in the file */
	uint32_t objects;
};

#endif
