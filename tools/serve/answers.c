#include "tools/serve/answers.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Who read a trace for this part of the time may have been held by it. */
#define HOLDING_PART 4u
#define NS_PER_SECOND INT64_C(1000000000)
#define QUARANTINE_SECONDS ((int)(VMT_QUARANTINE_NS / NS_PER_SECOND))
#define IDLE_NS (600 * NS_PER_SECOND) /* how long a reader that nobody asks stays */

/* In the reader, whose copy of the answers knows its traces. */
static int
read_new(void *context, const void *question, struct vmt_err *err)
{
	struct vmt_answers *answers = context;
	const struct vmt_worker_limits *limits = &answers->worker.limits;

	if (!answers->kept)
		answers->kept = vmt_kept_traces_new(limits->memory_bytes / 2);
	if (!answers->kept)
		return vmt_err_set(err, ENOMEM, "out of memory");
	memcpy(&answers->asked, question, sizeof(answers->asked));
	vmt_answer_end(&answers->answer);
	return vmt_answer_begin(&answers->answer, answers->source, &answers->asked, answers->kept,
				limits->seconds, err);
}

static void
around_fork(void *context, bool with_it)
{
	struct vmt_answers *answers = context;

	if (answers->kept)
		vmt_kept_traces_fork(answers->kept, with_it);
}

static int
write_answer(void *context, FILE *out, struct vmt_err *err)
{
	struct vmt_answers *answers = context;

	return vmt_answer_write(&answers->answer, out, err);
}

void
vmt_answers_begin(struct vmt_answers *answers, const struct vmt_answer_source *source,
		  const struct vmt_worker_limits *limits, int64_t keep_ns)
{
	*answers = (struct vmt_answers){
	    .source = source,
	    .keep_ns = keep_ns,
	    .job = {.context = answers,
		    .read = read_new,
		    .fork = around_fork,
		    .write = write_answer},
	};
	vmt_worker_begin(&answers->worker, limits, &answers->job);
}

static void
drop(struct vmt_answers_entry *entry)
{
	assert(entry->waiting == 0);
	if (entry->response)
		MHD_destroy_response(entry->response);
	*entry = (struct vmt_answers_entry){.is_used = false};
}

static bool
is_stale(const struct vmt_answers *answers, const struct vmt_answers_entry *entry, int64_t now_ns)
{
	return entry->is_made && now_ns - entry->due_ns > answers->keep_ns;
}

/* Also those that nobody waits for any more, and whose making has not begun. */
static void
drop_old(struct vmt_answers *answers, int64_t now_ns)
{
	for (size_t i = 0; i < VMT_ANSWERS_MOST; i++) {
		struct vmt_answers_entry *entry = &answers->all[i];

		if (entry->is_used && entry->waiting == 0 && entry != answers->in_work &&
		    (!entry->is_made || is_stale(answers, entry, now_ns)))
			drop(entry);
	}
}

static struct vmt_answers_entry *
find(struct vmt_answers *answers, const struct vmt_request *request, int64_t now_ns)
{
	for (size_t i = 0; i < VMT_ANSWERS_MOST; i++) {
		struct vmt_answers_entry *entry = &answers->all[i];

		if (entry->is_used && !is_stale(answers, entry, now_ns) &&
		    memcmp(&entry->request, request, sizeof(*request)) == 0)
			return entry;
	}
	return NULL;
}

struct vmt_answers_entry *
vmt_answers_ask(struct vmt_answers *answers, const struct vmt_request *request, int64_t now_ns)
{
	struct vmt_answers_entry *entry;

	drop_old(answers, now_ns);
	entry = find(answers, request, now_ns);
	for (size_t i = 0; i < VMT_ANSWERS_MOST && !entry; i++)
		if (!answers->all[i].is_used) {
			entry = &answers->all[i];
			*entry = (struct vmt_answers_entry){
			    .request = *request, .is_used = true, .due_ns = now_ns};
		}
	if (entry)
		entry->waiting++;
	return entry;
}

void
vmt_answers_leave(struct vmt_answers_entry *entry)
{
	assert(entry->waiting > 0);
	entry->waiting--;
}

static unsigned
status_of(enum vmt_worker_state state)
{
	switch (state) {
	case VMT_WORKER_DONE:
		return MHD_HTTP_OK;
	case VMT_WORKER_ABSENT:
		return MHD_HTTP_NOT_FOUND;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

/* Takes over the worker's bytes. */
static struct MHD_Response *
response_of(struct vmt_worker *worker, enum vmt_worker_state state, enum vmt_request_kind kind)
{
	static char why[] = "the traces could not be read within the limits of memory and time\n";
	bool is_empty = state == VMT_WORKER_LOST;
	struct MHD_Response *response =
	    is_empty ? MHD_create_response_from_buffer(sizeof(why) - 1, why, MHD_RESPMEM_PERSISTENT)
		     : MHD_create_response_from_buffer(worker->length, worker->bytes,
						       MHD_RESPMEM_MUST_FREE);

	if (is_empty || !response)
		free(worker->bytes);
	worker->bytes = NULL;
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					state == VMT_WORKER_DONE ? vmt_answer_type(kind)
								 : "text/plain; charset=utf-8");
	return response;
}

static const struct vmt_answers_entry *
finish(struct vmt_answers *answers, enum vmt_worker_state state, int64_t now_ns)
{
	struct vmt_answers_entry *entry = answers->in_work;

	if (state == VMT_WORKER_DONE && entry->request.kind == VMT_REQUEST_METRICS)
		vmt_late_answer_keep(&answers->late, answers->worker.bytes, answers->worker.length,
				     now_ns);
	entry->response = response_of(&answers->worker, state, entry->request.kind);
	entry->status = status_of(state);
	entry->is_made = true;
	entry->due_ns = now_ns;
	answers->in_work = NULL;
	return entry;
}

static bool
took_too_long(const struct vmt_worker *worker)
{
	return worker->lost_by == SIGALRM || worker->lost_by == SIGXCPU;
}

/* Whether the trace that was read when the worker was lost is left out from now on. */
static bool
leave_out(const struct vmt_answers *answers)
{
	const struct vmt_worker *worker = &answers->worker;
	static char path[VMT_QUARANTINE_PATH_BYTES];
	int64_t least_ns =
	    took_too_long(worker) ? worker->limits.seconds * NS_PER_SECOND / HOLDING_PART : 0;

	if (worker->lost_by == 0 ||
	    !vmt_quarantine_blame(answers->source->quarantine, least_ns, path))
		return false;
	if (took_too_long(worker))
		fprintf(stderr, "vmtrace-serve: %s: takes too long to read; left out for %d s\n",
			path, QUARANTINE_SECONDS);
	else
		fprintf(stderr,
			"vmtrace-serve: %s: who read it ended by signal %d; left out for %d s\n",
			path, worker->lost_by, QUARANTINE_SECONDS);
	return true;
}

/* The answer is tried again without the trace that is to blame, as long as it may take at all. */
static const struct vmt_answers_entry *
finish_lost(struct vmt_answers *answers, int64_t now_ns)
{
	int64_t most_ns = answers->worker.limits.seconds * NS_PER_SECOND;

	if (leave_out(answers) && now_ns - answers->in_work->due_ns < most_ns) {
		free(answers->worker.bytes);
		answers->worker.bytes = NULL;
		answers->in_work = NULL;
		return NULL;
	}
	return finish(answers, VMT_WORKER_LOST, now_ns);
}

/* The one that waits for longest. */
static struct vmt_answers_entry *
next_one(struct vmt_answers *answers)
{
	struct vmt_answers_entry *next = NULL;

	for (size_t i = 0; i < VMT_ANSWERS_MOST; i++) {
		struct vmt_answers_entry *entry = &answers->all[i];

		if (entry->is_used && !entry->is_made && entry->waiting > 0 &&
		    (!next || entry->due_ns < next->due_ns))
			next = entry;
	}
	return next;
}

static const struct vmt_answers_entry *
start_next(struct vmt_answers *answers, int64_t now_ns)
{
	struct vmt_err err = {""};

	answers->in_work = next_one(answers);
	if (!answers->in_work)
		return NULL;
	answers->asked_ns = now_ns;
	if (vmt_worker_ask(&answers->worker, &answers->in_work->request,
			   sizeof(answers->in_work->request), &err) < 0)
		return finish(answers, VMT_WORKER_LOST, now_ns);
	return NULL;
}

const struct vmt_answers_entry *
vmt_answers_step(struct vmt_answers *answers, int64_t now_ns)
{
	enum vmt_worker_state state;

	drop_old(answers, now_ns);
	if (!answers->in_work) {
		if (now_ns - answers->asked_ns > IDLE_NS)
			vmt_worker_stop(&answers->worker);
		return start_next(answers, now_ns);
	}
	state = vmt_worker_step(&answers->worker);
	if (state == VMT_WORKER_LOST)
		return finish_lost(answers, now_ns);
	return state == VMT_WORKER_RUNS ? NULL : finish(answers, state, now_ns);
}

const struct vmt_answers_entry *
vmt_answers_late(const struct vmt_answers *answers, int64_t now_ns)
{
	for (size_t i = 0; i < VMT_ANSWERS_MOST; i++) {
		const struct vmt_answers_entry *entry = &answers->all[i];

		if (entry->is_used && !entry->is_made && entry->waiting > 0 &&
		    entry->request.kind == VMT_REQUEST_METRICS &&
		    vmt_late_answer_is_due(&answers->late, entry->due_ns, now_ns))
			return entry;
	}
	return NULL;
}

struct MHD_Response *
vmt_answers_older(const struct vmt_answers *answers, int64_t now_ns)
{
	size_t length;
	char *text = vmt_late_answer_text(&answers->late, now_ns, &length);
	struct MHD_Response *response =
	    text ? MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE) : NULL;

	if (!response)
		free(text);
	else
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					vmt_answer_type(VMT_REQUEST_METRICS));
	return response;
}

void
vmt_answers_end(struct vmt_answers *answers)
{
	vmt_worker_stop(&answers->worker);
	vmt_late_answer_free(&answers->late);
	for (size_t i = 0; i < VMT_ANSWERS_MOST; i++)
		if (answers->all[i].is_used) {
			answers->all[i].waiting = 0;
			drop(&answers->all[i]);
		}
}
