#include "tools/model/report/live_report.h"

#include "tools/model/report/report_build.h"
#include "tools/model/report/report_draft.h"
#include "tools/read/trace/merge.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the replay so far rests on. */
struct ground {
	struct vmt_head head;
	bool lacks_modules;
	uint64_t modules_used; /* where it lacks some */
	bool asks_touch;
	bool wants_files;
};

struct vmt_live_report {
	char *path;
	const struct vmt_report_options *options;
	struct vmt_report_options finished; /* the same, of the report that is made in a child */
	struct vmt_report_draft *draft;	    /* NULL: begin anew */
	struct ground ground;
	size_t chunks; /* that were looked at for names */
	uint32_t sites_asked;
	bool is_known; /* which trace it is */
	uint64_t random_id;
	unsigned beginnings;
};

/* What a child says of its end. */
struct verdict {
	int result;
	struct vmt_err err;
};

static int
out_of_memory(const struct vmt_live_report *live, struct vmt_err *err)
{
	return vmt_err_set(err, ENOMEM, "%s: out of memory", live->path);
}

static void
drop(struct vmt_live_report *live)
{
	if (!live->draft)
		return;
	vmt_report_draft_free(live->draft);
	vmt_report_free(&live->draft->report);
	live->draft = NULL;
}

int
vmt_live_report_open(struct vmt_live_report **out, const char *path,
		     const struct vmt_report_options *options, struct vmt_err *err)
{
	struct vmt_live_report *live = calloc(1, sizeof(*live));

	assert(options->at == VMT_AT_END && options->no_growth && !options->history &&
	       !options->lent && !options->all_names);
	*out = NULL;
	if (live)
		live->path = strdup(path);
	if (!live || !live->path) {
		free(live);
		return vmt_err_set(err, ENOMEM, "%s: out of memory", path);
	}
	live->options = options;
	*out = live;
	return 0;
}

void
vmt_live_report_close(struct vmt_live_report *live)
{
	if (!live)
		return;
	drop(live);
	free(live->path);
	free(live);
}

static struct ground
ground_of(const struct vmt_live_report *live)
{
	const struct vmt_report_draft *draft = live->draft;
	const struct vmt_head *head = vmt_trace_head(draft->trace);
	bool lacks_modules = vmt_report_events_lack_modules(draft);

	return (struct ground){
	    .head = *head,
	    .lacks_modules = lacks_modules,
	    .modules_used = lacks_modules ? head->modules_used : 0,
	    .asks_touch = draft->report.touch.asked,
	    .wants_files = vmt_report_names_want_files(draft),
	};
}

static bool
is_same_ground(const struct ground *a, const struct ground *b)
{
	return memcmp(&a->head, &b->head, offsetof(struct vmt_head, stack_words_used)) == 0 &&
	       a->head.notes == b->head.notes &&
	       memcmp(&a->head.go, &b->head.go, sizeof(a->head.go)) == 0 &&
	       a->lacks_modules == b->lacks_modules && a->modules_used == b->modules_used &&
	       a->asks_touch == b->asks_touch && a->wants_files == b->wants_files;
}

/* Whether chunks that were appended say something of what is past. */
static bool
tells_of_past(struct vmt_live_report *live)
{
	const struct vmt_report_draft *draft = live->draft;
	bool tells = false;
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	for (; live->chunks < count; live->chunks++) {
		const struct vmt_chunk *header = &chunks[live->chunks].header;

		tells |=
		    header->kind == VMT_CHUNK_NAMES || header->kind == VMT_CHUNK_JIT ||
		    (header->kind == VMT_CHUNK_TASKS && header->time_min < draft->replayed_until);
	}
	return tells;
}

/* The chunks' headers may lie elsewhere now. */
static void
move_waiting(struct vmt_report_draft *draft, uintptr_t from)
{
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(draft->trace, &count);

	for (size_t i = draft->waiting.first; i < draft->waiting.end; i++) {
		size_t at = ((uintptr_t)draft->waiting.items[i].chunk - from) / sizeof(*chunks);

		assert(at < count);
		draft->waiting.items[i].chunk = &chunks[at];
	}
}

/* Another process's trace has the same name now. */
static int
check_identity(struct vmt_live_report *live, struct vmt_err *err)
{
	uint64_t random_id = vmt_trace_head(live->draft->trace)->random_id;

	if (live->is_known && live->random_id != random_id)
		return vmt_err_set(err, ESTALE, "%s: was replaced by another trace", live->path);
	live->is_known = true;
	live->random_id = random_id;
	return 0;
}

static int
plan(struct vmt_live_report *live, struct vmt_err *err)
{
	int status = vmt_report_draft_choose(live->draft, err);

	if (!status)
		vmt_report_events_plan(live->draft);
	return status;
}

static int
begin(struct vmt_live_report *live, struct vmt_err *err)
{
	int status;

	drop(live);
	live->draft = calloc(1, sizeof(*live->draft));
	if (!live->draft)
		return out_of_memory(live, err);
	live->draft->options = live->options;
	live->beginnings++;
	live->sites_asked = 0;
	status = vmt_report_draft_open(live->draft, live->path, err);
	if (!status)
		status = check_identity(live, err);
	if (!status)
		status = plan(live, err);
	if (!status)
		status = vmt_report_events_begin(live->draft, live->path, 0, err);
	if (status)
		return status;
	(void)vmt_trace_chunks(live->draft->trace, &live->chunks);
	live->ground = ground_of(live);
	return 0;
}

/* -ESTALE, without a message: begin anew. */
static int
extend(struct vmt_live_report *live, struct vmt_err *err)
{
	struct vmt_report_draft *draft = live->draft;
	struct ground ground;
	size_t count;
	uintptr_t before = (uintptr_t)vmt_trace_chunks(draft->trace, &count);
	int status = vmt_trace_refresh(draft->trace, err);

	if (status)
		return status;
	move_waiting(draft, before);
	status = vmt_merge_extend(draft->merge, err);
	if (!status && tells_of_past(live))
		status = -ESTALE;
	if (!status && draft->recorded && vmt_report_names_find_files(draft))
		status = out_of_memory(live, err);
	if (!status)
		status = plan(live, err);
	if (status)
		return status;
	ground = ground_of(live);
	return draft->is_stale || !is_same_ground(&ground, &live->ground) ? -ESTALE : 0;
}

/* Applies what is settled. Writers that are stopped have the time between two snapshots to write
 * down what they did. */
static int
advance(struct vmt_live_report *live, struct vmt_err *err)
{
	struct vmt_report_draft *draft = live->draft;
	uint64_t until = draft->choice.last_but_one;
	uint64_t ring_min = vmt_merge_ring_min(draft->merge);
	int status;

	if (until > ring_min)
		until = ring_min;
	if (!draft->chosen || until <= draft->replayed_until)
		return 0;
	vmt_merge_set_until(draft->merge, until);
	status = vmt_report_events_run(draft, live->path, err);
	draft->replayed_until = until;
	if (!status && live->options->symbols)
		vmt_report_names_ask(draft, live->sites_asked);
	live->sites_asked = vmt_sites_count(draft->replay->sites);
	return status;
}

int
vmt_live_report_read(struct vmt_live_report *live, struct vmt_err *err)
{
	int status = live->draft ? extend(live, err) : -ESTALE;

	if (status == -ESTALE)
		status = begin(live, err);
	if (!status)
		status = advance(live, err);
	if (status)
		drop(live);
	return status;
}

void
vmt_live_report_fork(struct vmt_live_report *live, bool with_it)
{
	if (live->draft)
		vmt_replay_fork(live->draft->replay, with_it);
}

/* What tells owners was told of names, or of none: it is asked anew. */
static int
choose_names(struct vmt_live_report *live, bool symbols)
{
	struct vmt_report_draft *draft = live->draft;

	if (symbols == live->options->symbols)
		return 0;
	live->finished = *live->options;
	live->finished.symbols = symbols;
	draft->options = &live->finished;
	vmt_go_sites_free(draft->go_owners);
	vmt_allocators_free(draft->allocators);
	draft->go_owners = NULL;
	draft->allocators = NULL;
	return vmt_report_snapshots_new_owners(draft, &draft->go_owners, &draft->allocators);
}

int
vmt_live_report_finish(struct vmt_live_report *live, bool symbols, const struct vmt_report **report,
		       struct vmt_err *err)
{
	*report = NULL;
	if (!live->draft)
		return vmt_err_set(err, ENODATA, "%s: was not read", live->path);
	if (choose_names(live, symbols) < 0)
		return out_of_memory(live, err);
	*report = &live->draft->report;
	return vmt_report_draft_finish(live->draft, live->path, err);
}

/* In the child. A crash of its own is not to be taken for the parent's. */
static void
finish(struct vmt_live_report *live, vmt_live_report_write *write, void *context, int fd,
       struct verdict *verdict)
{
	FILE *out = fdopen(fd, "w");
	const struct vmt_report *report;

	for (int signal_number = 1; signal_number < SIGRTMIN; signal_number++)
		(void)signal(signal_number, SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	verdict->result =
	    out ? vmt_live_report_finish(live, live->options->symbols, &report, &verdict->err)
		: -ENOMEM;
	if (verdict->result == 0)
		verdict->result = write(context, report, out);
	if (verdict->result == 0 && fflush(out) != 0)
		verdict->result = -errno;
	_exit(0);
}

static int
read_back(int fd, char **bytes, size_t *length)
{
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t got;

	*length = end > 0 ? (size_t)end : 0;
	*bytes = malloc(*length + 1);
	if (!*bytes)
		return -ENOMEM;
	for (size_t at = 0; at < *length; at += (size_t)got) {
		got = pread(fd, *bytes + at, *length - at, (off_t)at);
		if (got <= 0) {
			free(*bytes);
			*bytes = NULL;
			return -EIO;
		}
	}
	(*bytes)[*length] = '\0';
	return 0;
}

/* The child's, or that it was lost. */
static int
take_verdict(struct vmt_live_report *live, pid_t child, const struct verdict *verdict,
	     struct vmt_err *err)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return vmt_err_set(err, errno, "%s: its report was lost", live->path);
	if (status != 0) {
		/* A question to who looks up names may have no answer yet. */
		drop(live);
		return vmt_err_set(err, ECHILD,
				   "%s: the process that made its report ended by signal %d",
				   live->path, WTERMSIG(status));
	}
	if (verdict->result && verdict->err.text[0])
		return vmt_err_set(err, -verdict->result, "%s", verdict->err.text);
	return verdict->result ? out_of_memory(live, err) : 0;
}

static int
make_in_child(struct vmt_live_report *live, vmt_live_report_write *write, void *context, int fd,
	      struct vmt_err *err)
{
	struct verdict *verdict =
	    mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int result;
	pid_t child;

	if (verdict == MAP_FAILED)
		return out_of_memory(live, err);
	vmt_live_report_fork(live, true);
	child = fork();
	if (child == 0)
		finish(live, write, context, fd, verdict);
	vmt_live_report_fork(live, false);
	if (child < 0)
		result = vmt_err_set(err, errno, "%s: no process to make its report: %s",
				     live->path, strerror(errno));
	else
		result = take_verdict(live, child, verdict, err);
	munmap(verdict, sizeof(*verdict));
	return result;
}

int
vmt_live_report_make(struct vmt_live_report *live, vmt_live_report_write *write, void *context,
		     char **bytes, size_t *length, struct vmt_err *err)
{
	int result = vmt_live_report_read(live, err);
	int fd;

	*bytes = NULL;
	*length = 0;
	if (result)
		return result;
	fd = memfd_create("vmtrace-report", MFD_CLOEXEC);
	if (fd < 0)
		return vmt_err_set(err, errno, "%s: no memory for its report: %s", live->path,
				   strerror(errno));
	result = make_in_child(live, write, context, fd, err);
	if (result == 0 && read_back(fd, bytes, length) < 0)
		result = out_of_memory(live, err);
	close(fd);
	return result;
}

void
vmt_live_report_rest(struct vmt_live_report *live)
{
	if (live->draft)
		vmt_lookup_end_children(live->draft->names);
}

unsigned
vmt_live_report_beginnings(const struct vmt_live_report *live)
{
	return live->beginnings;
}
