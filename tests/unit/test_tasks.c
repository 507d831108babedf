/* Lists of a process's threads, as chunks of a trace. */
#include "tests/unit/trace_fixture.h"

#include "base/procfs.h"
#include "collect/tasks.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define THREADS 40u

struct place {
	char path[32];
	struct vmt_buffer packed;
	struct vmt_buffer scratch;
	struct vmt_writer writer;
	struct vmt_tasks_job job;
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->path, "/tmp/vmt-tasks-XXXXXX");
	place->writer.fd = mkstemp(place->path);
	place->writer.packed = &place->packed;
	place->job = (struct vmt_tasks_job){
	    .pid = (uint32_t)getpid(),
	    .own_pid = (uint32_t)getpid(),
	    .stat_fd = vmt_procfs_open(0, "stat"),
	    .scratch = &place->scratch,
	};
	*state = place;
	return place->writer.fd >= 0 && place->job.stat_fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	close(place->writer.fd);
	close(place->job.stat_fd);
	unlink(place->path);
	vmt_buffer_free(&place->packed);
	vmt_buffer_free(&place->scratch);
	free(place);
	return 0;
}

static pthread_barrier_t barrier;

static void *
wait_twice(void *tid)
{
	*(uint32_t *)tid = (uint32_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static bool
is_in(const struct fixture_chunk *chunk, uint32_t tid)
{
	for (size_t at = 0; at < chunk->header->payload_bytes; at += sizeof(tid)) {
		uint32_t listed;

		memcpy(&listed, chunk->payload + at, sizeof(listed));
		if (listed == tid)
			return true;
	}
	return false;
}

static void
every_thread_is_in_the_list_until_it_ends(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;
	pthread_t threads[THREADS];
	uint32_t tids[THREADS];

	assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_twice, &tids[i]), 0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(vmt_tasks_take(&place->job, &place->writer), 0);
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(vmt_tasks_take(&place->job, &place->writer), 0);
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, 2);
	assert_int_equal(chunks.list[0].header->kind, VMT_CHUNK_TASKS);
	assert_true(chunks.list[0].header->time_min > 0);
	assert_true(chunks.list[1].header->time_min > chunks.list[0].header->time_min);
	assert_int_equal(chunks.list[0].header->payload_bytes, (THREADS + 1) * sizeof(uint32_t));
	assert_int_equal(chunks.list[1].header->payload_bytes, sizeof(uint32_t));
	for (size_t i = 0; i < THREADS; i++) {
		assert_true(is_in(&chunks.list[0], tids[i]));
		assert_false(is_in(&chunks.list[1], tids[i]));
	}
	assert_true(is_in(&chunks.list[1], (uint32_t)getpid()));
	fixture_free_chunks(&chunks);
}

/* Kernel ids of another pid namespace would make every thread a dead one. */
static void
a_list_without_the_process_itself_is_not_written(void **state)
{
	struct place *place = *state;

	place->job.own_pid = 1;
	assert_int_equal(vmt_tasks_take(&place->job, &place->writer), -EAGAIN);
	assert_int_equal(place->writer.end_bytes, 0);
}

static void
a_process_that_is_gone_has_no_list(void **state)
{
	struct place *place = *state;
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	close(place->job.stat_fd);
	place->job.pid = place->job.own_pid = (uint32_t)child;
	place->job.stat_fd = vmt_procfs_open((uint32_t)child, "stat");
	assert_int_equal(vmt_tasks_take(&place->job, &place->writer), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(vmt_tasks_take(&place->job, &place->writer), -ENOENT);
	assert_int_equal(place->writer.sequence, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_thread_is_in_the_list_until_it_ends, set_up,
					    tear_down),
	    cmocka_unit_test_setup_teardown(a_list_without_the_process_itself_is_not_written,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_process_that_is_gone_has_no_list, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
