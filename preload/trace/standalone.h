/*
 * standalone.h: libvmtrace.so run as a program: the collector
 *
 * The collector of a bare preload. As a program of its own it holds nothing of the traced program:
 * not its executable, its mappings, its directory or its descriptors. The kernel maps the file,
 * which names no interpreter, and jumps to its ELF entry; nobody has relocated it and there is no C
 * library. The entry does both by itself: it relocates its tables, gives the few functions that
 * collect/ and format/ import bodies of its own, and a thread area to what may read one. Every
 * other import leads to an exit (status 70); `make walls` checks that collect/ and format/ need no
 * more than there is.
 *
 * Started by spawn.c with the arguments below, all text; by hand it prints one line and exits.
 */
#ifndef VMT_STANDALONE_H
#define VMT_STANDALONE_H

#include "base/procfs.h"
#include "collect/collector.h"

struct vmt_standalone_orders {
	int session_fd;
	const char *session_path; /* NULL: it has no name, and its descriptor stays open */
	uint32_t first_pid;
	uint64_t first_random_id; /* of the trace that the descriptors belong to */
	uint64_t interval_ns;
	uint32_t residency_source;
	uint32_t touch_period;
	uint64_t min_rss_bytes;
	uint32_t max_files;
	uint64_t max_bytes;
	struct vmt_procfs_watch watch; /* of the first process */
};

#define VMT_STANDALONE_ARGUMENTS 20u /* its name among them */
#define VMT_STANDALONE_NUMBER_BYTES 24u

/* The orders as an argument list; it points into both. */
struct vmt_standalone_line {
	const char *arguments[VMT_STANDALONE_ARGUMENTS + 1];
	char numbers[VMT_STANDALONE_ARGUMENTS][VMT_STANDALONE_NUMBER_BYTES];
};

void vmt_standalone_write(struct vmt_standalone_line *line,
			  const struct vmt_standalone_orders *orders);

/* False: these are no such arguments, or another version's. */
bool vmt_standalone_read(struct vmt_standalone_orders *orders, int count, char *const arguments[]);

#endif
