/*
 * answer.h: what the traces of a directory say, in the form that somebody asks for.
 *
 * Of the traces of a directory those whose process still runs. An answer is made in two steps: what
 * is new of them is read in a process that stays, and the answer is written in a child of it, which
 * uses up a copy of what was read (kept_traces.h). Traces are untrusted: both are processes of
 * their own (worker.h). One thread's.
 */
#ifndef VMT_ANSWER_H
#define VMT_ANSWER_H

#include "tools/err.h"
#include "tools/serve/kept_traces.h"
#include "tools/serve/request.h"

#include <stdio.h>

struct vmt_answer_source {
	char *directory;     /* with traces */
	const char *address; /* "HOST:PORT" at which this server is asked for more */
	const char *scheme;  /* "http", "https" */
	bool by_pid;	     /* metrics have a label pid */
	struct vmt_quarantine *quarantine;
};

/* An answer under construction. */
struct vmt_answer {
	const struct vmt_answer_source *source;
	const struct vmt_request *request;
	struct vmt_kept_traces *kept;
	struct vmt_running_traces traces;
	size_t read;	  /* so many of them; for the others there was no time */
	int64_t until_ns; /* by CLOCK_MONOTONIC: no report is begun later */
	FILE *out;
	struct vmt_err *err;
};

/* Reads what is new of the traces that it is about. Of so many seconds for the answer it reads
 * during the first half; what it has not read then the answer counts. 0 or a negative errno with a
 * message. To be ended in either case; request and kept outlive it. */
int vmt_answer_begin(struct vmt_answer *answer, const struct vmt_answer_source *source,
		     const struct vmt_request *request, struct vmt_kept_traces *kept,
		     unsigned seconds, struct vmt_err *err);
void vmt_answer_end(struct vmt_answer *answer);

/* In a child. Where many traces are not kept it begins no report in the last sixth of the time:
 * metrics count those that are left, a profile is refused. 0; -ENOENT: no such process runs;
 * another negative errno: the traces can't be read. A message comes with each. */
int vmt_answer_write(struct vmt_answer *answer, FILE *out, struct vmt_err *err);

/* Of the answer that vmt_answer_write gives. */
const char *vmt_answer_type(enum vmt_request_kind kind);

#endif
