/*
 * go_figures.h: the figures that a Go runtime counts.
 *
 * In its own words (runtime.MemStats), in bytes. go_memstats.h computes them.
 */
#ifndef VMT_GO_FIGURES_H
#define VMT_GO_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

/* Without overlap but for released. */
struct vmt_go_figures {
	uint64_t heap_in_use_bytes;
	uint64_t heap_idle_bytes;
	uint64_t heap_released_bytes; /* part of idle */
	uint64_t stacks_bytes;	 /* of goroutines, in arenas, and of threads it mapped itself */
	uint64_t metadata_bytes; /* all else: spans, caches, profiler, collector, other */
	uint64_t total_bytes;
	uint64_t memory_limit_bytes; /* VMT_FIGURE_UNKNOWN: none, or it has not started */
	/* What paces its collections; known of the versions that format/go_offsets.def has, once
	 * the runtime has started. */
	bool has_pace;
	int32_t gc_percent;	  /* GOGC; below 0: off */
	uint64_t heap_goal_bytes; /* by which the next collection is to be done, by GOGC alone:
				     the memory limit may make it earlier */
	uint64_t heap_live_bytes; /* what is live, and what was allocated since it was known */
	uint64_t
	    heap_marked_bytes; /* what the last collection found to be live; 0: there was none */
	uint64_t scavenger_goal_bytes; /* about: so much of heap in use and idle pages the
					  background scavenger leaves in RAM, by GOGC alone;
					  VMT_FIGURE_UNKNOWN */
};

#endif
