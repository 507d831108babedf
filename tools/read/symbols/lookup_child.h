/*
 * lookup_child.h: a child process that looks up symbols, as its parent sees it.
 *
 * One child process for one module. It is gone after it failed to answer: crashed, beyond a limit,
 * or too late. One thread's.
 */
#ifndef VMT_LOOKUP_CHILD_H
#define VMT_LOOKUP_CHILD_H

#include "tools/read/symbols/lookup_protocol.h"

#include <sys/types.h>

struct vmt_lookup_child {
	pid_t pid; /* 0 = none */
	int socket;
};

/* root, recorded: as symbols.h has them. False: there is no child. */
bool vmt_lookup_child_make(struct vmt_lookup_child *child, const char *root,
			   const struct vmt_recorded_files *recorded,
			   const struct vmt_module *module, enum vmt_lookup_trust trust,
			   const struct vmt_lookup_limits *limits);

/* One question and its answer; the answer's bytes, 0 where the child was lost. */
size_t vmt_lookup_child_ask(struct vmt_lookup_child *child, const void *question, size_t length,
			    const struct vmt_lookup_limits *limits,
			    unsigned char packet[VMT_LOOKUP_PACKET_BYTES]);

/* Memory that is the child's alone; 0 where /proc does not tell. */
uint64_t vmt_lookup_child_bytes(const struct vmt_lookup_child *child);

/* At any time; also without a child. */
void vmt_lookup_child_end(struct vmt_lookup_child *child);

#endif
