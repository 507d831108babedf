/*
 * collector_place.h: a directory with a session in it, for a child that announces a trace and a
 * collector that runs in the test itself.
 */
#ifndef COLLECTOR_PLACE_H
#define COLLECTOR_PLACE_H

#include "tests/unit/trace_fixture.h"

#include "collect/collector.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define PLACE_CAPACITY 64u

struct place {
	char directory[32];
	char session_path[64];
	char trace_path[64];
	struct vmt_session *session;
};

static inline void
place_set_up(struct place *place)
{
	strcpy(place->directory, "/tmp/vmt-collector-XXXXXX");
	assert_non_null(mkdtemp(place->directory));
	snprintf(place->session_path, sizeof(place->session_path), "%s/session", place->directory);
	snprintf(place->trace_path, sizeof(place->trace_path), "%s/a.vmt", place->directory);
	assert_int_equal(vmt_session_create(place->session_path, &place->session), 0);
}

static inline void
place_tear_down(struct place *place)
{
	/* The collector has removed the session's file. */
	assert_int_equal(access(place->session_path, F_OK), -1);
	munmap(place->session, sizeof(*place->session));
	unlink(place->trace_path);
	assert_int_equal(rmdir(place->directory), 0);
}

static inline int
place_collect(const struct place *place, uint32_t first_pid)
{
	struct vmt_collector_host host = {.first_pid = first_pid,
					  .session_path = place->session_path};

	return vmt_collector_run(place->session, &host);
}

/* Child: makes a trace and says so; 0 or an exit status. */
static inline int
place_announce(struct fixture_trace *trace, const struct place *place, uint64_t random_id)
{
	fixture_make(trace, place->trace_path, PLACE_CAPACITY, random_id);
	return vmt_session_announce(place->session, (uint32_t)getpid(), random_id,
				    place->trace_path)
		   ? 0
		   : 99;
}

static inline void
place_await_collector(const struct fixture_trace *trace)
{
	while (vmt_atomic_load_acquire(&trace->head->heartbeat_ns) == 0)
		sched_yield();
}

static inline void
place_read_trace(struct fixture_chunks *chunks, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct vmt_head head;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	close(fd);
	assert_null(vmt_head_check(&head));
	fixture_read_chunks(chunks, path, head.chunks_offset);
}

static inline void
place_check_end(const struct fixture_chunks *chunks, uint32_t end, int32_t status)
{
	const struct fixture_chunk *last = &chunks->list[chunks->count - 1];
	const struct vmt_head *head = (const void *)chunks->bytes;
	struct vmt_chunk_end written;

	assert_int_equal(last->header->kind, VMT_CHUNK_END);
	memcpy(&written, last->payload, sizeof(written));
	assert_int_equal(written.end, end);
	assert_int_equal(written.status, status);
	assert_int_equal(head->collected_end, end);
	assert_int_equal(head->collected_status, status);
	assert_int_equal(head->collector_pid, 0);
	assert_true(head->clock_last.monotonic_ns > 0);
}

static inline uint64_t
place_count_events(const struct fixture_chunks *chunks, uint64_t *abandoned)
{
	uint64_t events = 0;

	*abandoned = 0;
	for (size_t i = 0; i < chunks->count; i++) {
		events += chunks->list[i].header->events;
		*abandoned += chunks->list[i].header->abandoned;
	}
	return events;
}

#endif
