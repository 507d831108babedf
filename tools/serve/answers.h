/*
 * answers.h: what was asked for, and what is known of the answers.
 *
 * One answer is made at a time; each is kept for a few seconds, so that many who ask the same cost
 * what one costs. Metrics that take long are answered by the last ones, which say how old they
 * are. What was read for them is kept by the worker's reader, until nobody has asked for
 * ten minutes. Requests wait in the order in which they came. One thread's.
 */
#ifndef VMT_ANSWERS_H
#define VMT_ANSWERS_H

#include "tools/serve/answer.h"
#include "tools/serve/late_answer.h"
#include "tools/serve/worker.h"

#include <microhttpd.h>
#include <stdbool.h>

#define VMT_ANSWERS_MOST 64u /* different ones at a time */

/* One answer. */
struct vmt_answers_entry {
	struct vmt_request request;
	bool is_used;
	bool is_made;
	unsigned status; /* of HTTP, once it is made */
	struct MHD_Response *response;
	int64_t due_ns;	  /* when it was asked for; once made, when it was */
	unsigned waiting; /* connections that have to be shown it */
};

struct vmt_answers {
	const struct vmt_answer_source *source;
	int64_t keep_ns;
	struct vmt_worker_job job;
	struct vmt_worker worker;
	struct vmt_late_answer late;
	int64_t asked_ns;		   /* the last time that something was asked of it */
	struct vmt_answers_entry *in_work; /* NULL: none */
	struct vmt_answers_entry all[VMT_ANSWERS_MOST];

	/* of the worker's reader alone */
	struct vmt_kept_traces *kept;
	struct vmt_request asked;
	struct vmt_answer answer;
};

void vmt_answers_begin(struct vmt_answers *answers, const struct vmt_answer_source *source,
		       const struct vmt_worker_limits *limits, int64_t keep_ns);

/* The answer to a request, made or to be made, with one more waiting for it. NULL: too many
 * different ones are asked for. */
struct vmt_answers_entry *vmt_answers_ask(struct vmt_answers *answers,
					  const struct vmt_request *request, int64_t now_ns);

/* One who waited has it, or is gone. */
void vmt_answers_leave(struct vmt_answers_entry *entry);

/* Goes on with the work. Returns the answer that was made just now, or NULL. */
const struct vmt_answers_entry *vmt_answers_step(struct vmt_answers *answers, int64_t now_ns);

/* Metrics that somebody has waited for too long, while older ones are kept; NULL: none. */
const struct vmt_answers_entry *vmt_answers_late(const struct vmt_answers *answers, int64_t now_ns);
/* The older ones, with their age, to be destroyed; NULL: there are none, or no memory. */
struct MHD_Response *vmt_answers_older(const struct vmt_answers *answers, int64_t now_ns);

/* Kills the work and frees what is kept. */
void vmt_answers_end(struct vmt_answers *answers);

#endif
