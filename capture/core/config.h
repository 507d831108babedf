/*
 * config.h: what the user asked for in VMTRACE_*
 *
 * The settings are those of format/settings.def. Read once, in the constructor, straight from the
 * environment block; kept for fork children, who never look again. A value that cannot be
 * understood is an error (vmt_config_read says which): recording something else than what was asked
 * would mislead.
 *
 * Sizes in bytes: decimal, with an optional suffix K, M, G, T (each also as KiB … and KB …, all
 * meaning powers of 1024). Not thread safe while reading; constant afterwards.
 */
#ifndef VMT_CONFIG_H
#define VMT_CONFIG_H

#include "base/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_CONFIG_TEXT_BYTES VMT_SESSION_PATH_BYTES
/* A VMTRACE_BUFFER below this makes all tables small, too: for tests. */
#define VMT_CONFIG_SMALL_BUFFER_BYTES (UINT64_C(64) << 10)

/* VMTRACE_STACKS: which walker is wanted. */
enum vmt_config_stacks {
	VMT_CONFIG_STACKS_AUTO,
	VMT_CONFIG_STACKS_CFI,
	VMT_CONFIG_STACKS_LIBUNWIND,
	VMT_CONFIG_STACKS_FP,
	VMT_CONFIG_STACKS_CHECKED, /* as auto, and each remembered walk against a full one */
};

struct vmt_config {
	char output[VMT_CONFIG_TEXT_BYTES];  /* template: %n name, %p pid, %% percent */
	char only[VMT_CONFIG_TEXT_BYTES];    /* globs of executable names, ':' or ',' between */
	char session[VMT_CONFIG_TEXT_BYTES]; /* path, empty = none */
	uint32_t malloc_mode;		     /* enum vmt_malloc_mode */
	uint64_t malloc_sample_bytes;
	uint64_t interval_ns;	    /* between RSS samples; 0 = the collector's default */
	uint64_t exit_wait_ns;	    /* for the last snapshot, where the life was short */
	uint64_t buffer_bytes;	    /* ring space of one shard; 0 = default */
	uint64_t stack_table_bytes; /* 0 = default */
	uint64_t min_rss_bytes;	    /* drop the trace of a process that never had it; 0 = none */
	uint32_t max_files;	    /* finished traces of a session; 0 = all */
	uint64_t max_bytes;	    /* of a trace; 0 = any */
	uint32_t stack_depth;	    /* 1 .. VMT_STACK_MAX_FRAMES */
	uint32_t stacks;	    /* enum vmt_config_stacks */
	uint32_t residency_source;  /* enum vmt_residency_source; 0 = the best there is */
	uint32_t touch_period;	    /* faults a sample; VMT_PERIOD_OFF, VMT_PERIOD_AUTO */
	uint64_t seed;		    /* of the samplers, where has_seed */
	bool has_seed;		    /* VMTRACE_SEED: the same choice of blocks in each run */
	bool follow_fork;
	bool follow_exec;
	bool cmdline; /* the command line may be kept in the trace */
	bool go;      /* the Go runtime's own system calls */
	bool go_heap; /* Go programs are to keep their memory profile */
	bool verbose;
	bool scarce; /* not of the environment: a limit counts what the tracer maps */
	/* ... nor this: mappings to be told of before anybody can collect; 0 = few. */
	uint32_t mappings_at_once;
};

/* The configuration of this process image. */
extern struct vmt_config vmt_config;

/* Fills the configuration with the defaults and what the environment says. Returns NULL, or what is
 * wrong with the first value that cannot be used: the variable's name, a colon and so on, in static
 * memory. */
const char *vmt_config_read(struct vmt_config *config, char *const environment[]);

/* Whether a name matches one of the globs (*, ? only; an empty list matches everything). */
bool vmt_config_matches(const char *globs, const char *name);

#endif
