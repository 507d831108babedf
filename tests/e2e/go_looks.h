/*
 * go_looks.h: what does a Go program count, and what does a snapshot say at the same moment?
 *
 * For programs of tests/go that answer each line of their input with what runtime.MemStats says,
 * and some with what runtime/metrics says, as one line of JSON. They are stopped while they are
 * looked at.
 */
#ifndef VMT_GO_LOOKS_H
#define VMT_GO_LOOKS_H

#include "tests/e2e/harness.h"

struct go_look {
	json_t *said;	/* by the program */
	json_t *report; /* of a snapshot */
};

/* Asks with a line (without newline), and looks. */
struct go_look go_look_once(struct conversation *talk, const char *line);

/* ... until the two agree: the runtime is at work between answer and stop. */
struct go_look go_look_steady(struct conversation *talk, const char *line);

/* Asks, and keeps the snapshot as a trace. */
void go_look_keep(struct conversation *talk, const char *line, const char *trace);

void go_look_forget(struct go_look *look);

#endif
