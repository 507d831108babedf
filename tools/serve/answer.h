/*
 * answer.h: what the traces of a directory say, in the form that somebody asks for.
 *
 * Reads the traces anew for each answer, and of those the ones whose process still runs. Traces are
 * untrusted: this runs in a process of its own (worker.h). One thread's.
 */
#ifndef VMT_ANSWER_H
#define VMT_ANSWER_H

#include "tools/err.h"
#include "tools/serve/request.h"

#include <stdio.h>

struct vmt_answer_source {
	char *directory;     /* with traces */
	const char *address; /* "HOST:PORT" at which this server is asked for more */
	const char *scheme;  /* "http", "https" */
	bool by_pid;	     /* metrics have a label pid */
};

/* 0; -ENOENT: no such process runs; another negative errno: the traces can't be read. A message
 * comes with each. */
int vmt_answer_write(const struct vmt_answer_source *source, const struct vmt_request *request,
		     FILE *out, struct vmt_err *err);

/* Of the answer that vmt_answer_write gives. */
const char *vmt_answer_type(enum vmt_request_kind kind);

#endif
