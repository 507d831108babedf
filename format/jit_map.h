/*
 * jit_map.h: what a trace keeps of /tmp/perf-PID.map
 *
 * The payload of a JIT chunk: this head, then bytes of the map as they were read. Run times that
 * compile while the program runs (V8, the JVM, CPython, .NET) write a line for each function, where
 * its code lies and what it is called: "START SIZE NAME", both numbers hexadecimal
 * (tools/perf/Documentation/jit-interface.txt of Linux). Whole lines alone, but for one that is
 * longer than a chunk.
 */
#ifndef VMT_FORMAT_JIT_MAP_H
#define VMT_FORMAT_JIT_MAP_H

#include <stdint.h>

#define VMT_JIT_ANEW 1u /* flags: the map was begun anew: offsets are of another file */
#define VMT_JIT_CUT 2u	/* there was more, which the trace has not */

struct vmt_jit_head {
	uint64_t time;	 /* ticks of the look: what follows was written before it */
	uint64_t offset; /* of the first byte, in the map */
	uint32_t flags;
	uint32_t bytes; /* that follow */
};

_Static_assert(sizeof(struct vmt_jit_head) == 24, "the head of a JIT chunk is 24 bytes");

#endif
