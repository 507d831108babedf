#include "tools/serve/worker.h"

#include "base/ticks.h"
#include "tools/serve/worker_reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)
#define GRACE_NS NS_PER_SECOND /* in which the reader ends a child that takes too long */
#define LEAST_ROOM ((size_t)65536)

static int
start(struct vmt_worker *worker, struct vmt_err *err)
{
	const struct vmt_worker_reader reader = {
	    .job = worker->job, .limits = worker->limits, .parent = getpid()};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return vmt_err_set(err, errno, "socketpair: %s", strerror(errno));
	fflush(stdout);
	worker->pid = fork();
	if (worker->pid == 0)
		vmt_worker_reader_run(&reader, ends[1]);
	close(ends[1]);
	if (worker->pid < 0) {
		int error = errno;

		worker->pid = 0;
		close(ends[0]);
		return vmt_err_set(err, error, "fork: %s", strerror(error));
	}
	setpgid(worker->pid, worker->pid); /* whoever comes first */
	worker->control = ends[0];
	return 0;
}

/* With all that it keeps and started. The signal that it ended by; 0: none. */
static int
end(struct vmt_worker *worker)
{
	int status = 0;

	if (worker->pid == 0)
		return 0;
	kill(-worker->pid, SIGKILL);
	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(worker->control);
	worker->pid = 0;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* One that was lost since the last question is replaced. */
static int
send_question(struct vmt_worker *worker, const void *question, size_t bytes, int answer,
	      struct vmt_err *err)
{
	for (int tries = 0; tries < 2; tries++) {
		int result = worker->pid == 0 ? start(worker, err) : 0;

		if (result < 0)
			return result;
		if (vmt_worker_reader_ask(worker->control, question, bytes, answer))
			return 0;
		end(worker);
	}
	return vmt_err_set(err, EPIPE, "the process that reads traces does not answer");
}

void
vmt_worker_begin(struct vmt_worker *worker, const struct vmt_worker_limits *limits,
		 const struct vmt_worker_job *job)
{
	*worker = (struct vmt_worker){.job = job, .limits = *limits, .fd = -1};
}

int
vmt_worker_ask(struct vmt_worker *worker, const void *question, size_t bytes, struct vmt_err *err)
{
	int ends[2];
	int result;

	assert(!worker->is_asked && bytes <= VMT_WORKER_QUESTION_BYTES);
	worker->bytes = NULL;
	worker->length = 0;
	worker->room = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return vmt_err_set(err, errno, "pipe: %s", strerror(errno));
	result = send_question(worker, question, bytes, ends[1], err);
	close(ends[1]);
	if (result < 0) {
		close(ends[0]);
		return result;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	worker->fd = ends[0];
	worker->is_asked = true;
	worker->deadline_ns =
	    (int64_t)vmt_ticks_monotonic_ns() + worker->limits.seconds * NS_PER_SECOND + GRACE_NS;
	return 0;
}

int
vmt_worker_fd(const struct vmt_worker *worker)
{
	return worker->fd >= 0 ? worker->fd : worker->control;
}

static bool
has_room(struct vmt_worker *worker)
{
	size_t room = worker->room ? worker->room * 2 : LEAST_ROOM;
	unsigned char *bytes;

	if (worker->length < worker->room)
		return true;
	if (worker->room >= worker->limits.output_bytes)
		return false;
	bytes = realloc(worker->bytes, room);
	if (!bytes)
		return false;
	worker->bytes = bytes;
	worker->room = room;
	return true;
}

/* Nothing is asked any more. */
static enum vmt_worker_state
finish(struct vmt_worker *worker, signed char verdict)
{
	if (worker->fd >= 0)
		close(worker->fd);
	worker->fd = -1;
	worker->is_asked = false;
	switch (verdict) {
	case VMT_WORKER_VERDICT_DONE:
		return VMT_WORKER_DONE;
	case VMT_WORKER_VERDICT_ABSENT:
		return VMT_WORKER_ABSENT;
	case VMT_WORKER_VERDICT_FAILED:
		return VMT_WORKER_FAILED;
	default:
		worker->length = 0; /* a part of an answer is none */
		worker->lost_by =
		    verdict > VMT_WORKER_VERDICT_LOST ? verdict - VMT_WORKER_VERDICT_LOST : 0;
		return VMT_WORKER_LOST;
	}
}

static enum vmt_worker_state
give_up(struct vmt_worker *worker, int signal_number)
{
	(void)end(worker);
	return finish(worker, (signed char)(VMT_WORKER_VERDICT_LOST + signal_number));
}

/* It ended by itself: it closed its socket. */
static enum vmt_worker_state
take_end(struct vmt_worker *worker)
{
	int signal_number = end(worker);

	return finish(worker, (signed char)(VMT_WORKER_VERDICT_LOST + signal_number));
}

/* The answer is written, or the reader is lost. */
static enum vmt_worker_state
take_verdict(struct vmt_worker *worker)
{
	signed char verdict;
	ssize_t got;

	do
		got = recv(worker->control, &verdict, 1, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return VMT_WORKER_RUNS;
	return got == 1 ? finish(worker, verdict) : take_end(worker);
}

/* False: all that is there was read, or what is there is the answer. */
static bool
read_more(struct vmt_worker *worker)
{
	ssize_t got =
	    read(worker->fd, worker->bytes + worker->length, worker->room - worker->length);

	if (got > 0)
		worker->length += (size_t)got;
	if (got > 0 || (got < 0 && errno == EINTR))
		return true;
	if (got < 0 && errno == EAGAIN)
		return false;
	close(worker->fd);
	worker->fd = -1;
	return false;
}

enum vmt_worker_state
vmt_worker_step(struct vmt_worker *worker)
{
	assert(worker->is_asked);
	do {
		if (!has_room(worker))
			return give_up(worker, 0);
		if ((int64_t)vmt_ticks_monotonic_ns() > worker->deadline_ns)
			return give_up(worker, SIGALRM);
	} while (worker->fd >= 0 && read_more(worker));
	return worker->fd >= 0 ? VMT_WORKER_RUNS : take_verdict(worker);
}

void
vmt_worker_stop(struct vmt_worker *worker)
{
	end(worker);
	if (worker->fd >= 0)
		close(worker->fd);
	free(worker->bytes);
	*worker = (struct vmt_worker){.job = worker->job, .limits = worker->limits, .fd = -1};
}
