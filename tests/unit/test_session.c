#include "base/exec_request.h"
#include "collect/collector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/vmt-session-XXXXXX";
static char path[64];

static int
set_up(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/session", directory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void
is_made_once_and_for_its_owner_alone(void **state)
{
	struct vmt_session *session, *again;
	struct stat status;

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_true(status.st_blocks * 512 >= (long)sizeof(*session));
	assert_int_equal(vmt_session_create(path, &again), -EEXIST);
	munmap(session, sizeof(*session));
}

static void
attached_sides_share_it(void **state)
{
	struct vmt_session *one, *other;

	(void)state;
	assert_int_equal(vmt_session_create(path, &one), 0);
	assert_int_equal(vmt_session_attach(path, &other), 0);
	one->heartbeat_ns = 123;
	assert_int_equal(other->heartbeat_ns, 123);
	munmap(one, sizeof(*one));
	munmap(other, sizeof(*other));
}

/* It has no name: others find it by a descriptor. */
static void
nameless_one_is_found_by_its_descriptor(void **state)
{
	struct vmt_session *one, *other;
	char found[64];
	char trace[64];
	int fd;

	(void)state;
	fd = vmt_session_create_nameless(&one);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(vmt_session_path_of(found, sizeof(found), (uint32_t)getpid(), fd));
	assert_int_equal(vmt_session_attach(found, &other), 0);
	for (unsigned i = 0; i < VMT_SESSION_SLOTS; i++) {
		snprintf(trace, sizeof(trace), "/trace.%u", i);
		assert_non_null(vmt_session_announce(one, 100 + i, 1000 + i, trace));
		assert_string_equal(other->slots[i].path, trace);
	}
	assert_null(vmt_session_announce(one, 1, 2, "/one too many"));
	munmap(one, sizeof(*one));
	close(fd);
	assert_int_equal(vmt_session_attach(found, &one), -ENOENT);
	munmap(other, sizeof(*other));
}

/* Where another process has the number now, not even what could be opened is. */
static void
opens_no_other_descriptor_of_a_process(void **state)
{
	struct vmt_session *session;
	char found[64];
	int ends[2];
	int fd;

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	munmap(session, sizeof(*session));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && pipe(ends) == 0);
	assert_true(vmt_session_path_of(found, sizeof(found), (uint32_t)getpid(), fd));
	assert_int_equal(vmt_session_attach(found, &session), -ELOOP);
	assert_true(vmt_session_path_of(found, sizeof(found), (uint32_t)getpid(), ends[0]));
	assert_int_equal(vmt_session_attach(found, &session), -ELOOP);
	close(ends[0]);
	close(ends[1]);
	close(fd);
}

/* The memory of a slot is taken before anybody writes there: what can't be had is an error then,
 * and no SIGBUS. */
static void
nameless_one_has_memory_where_it_is_written(void **state)
{
	struct vmt_session *session;
	struct stat status;
	int fd;

	(void)state;
	fd = vmt_session_create_nameless(&session);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, sizeof(*session));
	assert_true(status.st_blocks * 512 >=
		    (long)offsetof(struct vmt_session, slots[VMT_SESSION_BACKED]));
	assert_int_equal(session->backed == 0, status.st_blocks * 512 >= (long)sizeof(*session));
	assert_int_equal(stat("/proc/self/ns/pid", &status), 0);
	assert_int_equal(session->pid_namespace, status.st_ino);
	munmap(session, sizeof(*session));
	close(fd);
}

static void
refuses_what_is_no_session(void **state)
{
	struct vmt_session *session;
	int fd;

	(void)state;
	assert_int_equal(vmt_session_attach(path, &session), -ENOENT);
	assert_int_equal(vmt_session_attach("/", &session), -EISDIR);
	assert_int_equal(vmt_session_create("/no/such/directory", &session), -ENOENT);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(vmt_session_attach(path, &session), -EINVAL);
	assert_int_equal(ftruncate(fd, sizeof(*session)), 0);
	assert_int_equal(vmt_session_attach(path, &session), -EPROTO);
	close(fd);
}

static void
does_not_follow_a_link(void **state)
{
	struct vmt_session *session;
	char link_path[80];

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	snprintf(link_path, sizeof(link_path), "%s/link", directory);
	assert_int_equal(symlink(path, link_path), 0);
	munmap(session, sizeof(*session));
	assert_int_equal(vmt_session_attach(link_path, &session), -ELOOP);
	assert_int_equal(vmt_session_create(link_path, &session), -EEXIST);
	unlink(link_path);
}

static void
announcements_take_a_slot_each_till_there_is_none(void **state)
{
	struct vmt_session *session;
	char trace[64];

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	for (unsigned i = 0; i < VMT_SESSION_SLOTS; i++) {
		snprintf(trace, sizeof(trace), "/trace.%u", i);
		assert_true(vmt_session_announce(session, 100 + i, 1000 + i, trace));
		assert_int_equal(session->wake, i + 1);
		assert_int_equal(vmt_session_slots_used(session), i + 1);
	}
	assert_false(vmt_session_announce(session, 1, 2, "/one too many"));
	/* Any program of the tree may write there. */
	session->slots_used = UINT32_MAX;
	assert_int_equal(vmt_session_slots_used(session), VMT_SESSION_SLOTS);
	assert_int_equal(session->refused, 1);
	assert_int_equal(session->traces, VMT_SESSION_SLOTS);
	for (unsigned i = 0; i < VMT_SESSION_SLOTS; i++) {
		snprintf(trace, sizeof(trace), "/trace.%u", i);
		assert_int_equal(session->slots[i].state, VMT_SESSION_READY);
		assert_int_equal(session->slots[i].pid, 100 + i);
		assert_int_equal(session->slots[i].random_id, 1000 + i);
		assert_string_equal(session->slots[i].path, trace);
	}
	munmap(session, sizeof(*session));
}

static void
a_path_that_is_too_long_is_refused(void **state)
{
	struct vmt_session *session;
	char trace[VMT_SESSION_PATH_BYTES + 1];

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	memset(trace, 'x', sizeof(trace));
	trace[0] = '/';
	trace[VMT_SESSION_PATH_BYTES] = '\0';
	assert_false(vmt_session_announce(session, 1, 2, trace));
	trace[VMT_SESSION_PATH_BYTES - 1] = '\0';
	assert_true(vmt_session_announce(session, 1, 2, trace));
	assert_string_equal(session->slots[0].path, trace);
	munmap(session, sizeof(*session));
}

/* Processes that announce themselves at the same time get different slots. */
static void
racing_processes_never_share_a_slot(void **state)
{
	enum { PROCESSES = 4, EACH = 50 };
	struct vmt_session *session;
	bool seen[PROCESSES * EACH] = {false};
	int status;

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	for (uint32_t i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		for (uint32_t j = 0; pid == 0 && j < EACH; j++)
			vmt_session_announce(session, 1, i * EACH + j, "/a");
		if (pid == 0)
			_exit(0);
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		assert_true(wait(&status) > 0 && status == 0);
	for (unsigned i = 0; i < VMT_SESSION_SLOTS; i++) {
		if (session->slots[i].state != VMT_SESSION_READY)
			continue;
		assert_in_range(session->slots[i].random_id, 0, PROCESSES * EACH - 1);
		assert_false(seen[session->slots[i].random_id]);
		seen[session->slots[i].random_id] = true;
	}
	for (unsigned i = 0; i < PROCESSES * EACH; i++)
		assert_true(seen[i]);
	munmap(session, sizeof(*session));
}

static void
names_left_out_are_kept_once_and_bounded(void **state)
{
	struct vmt_session *session;
	char name[VMT_SESSION_NAME_BYTES + 20];

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	vmt_session_leave_out(session, name);
	assert_int_equal(strlen(session->names[0].name), VMT_SESSION_NAME_BYTES - 1);
	/* One that was killed while it wrote a name. */
	session->names[1].state = VMT_SESSION_CLAIMED;
	for (unsigned i = 0; i < 3 * VMT_SESSION_NAMES; i++) {
		snprintf(name, sizeof(name), "name%u", i / 2);
		vmt_session_leave_out(session, name);
	}
	assert_int_equal(session->left_out, 1 + 3 * VMT_SESSION_NAMES);
	for (unsigned i = 2; i < VMT_SESSION_NAMES; i++) {
		snprintf(name, sizeof(name), "name%u", i - 2);
		assert_int_equal(session->names[i].state, VMT_SESSION_READY);
		assert_string_equal(session->names[i].name, name);
	}
	assert_int_equal(session->slots[0].state, VMT_SESSION_FREE);
	munmap(session, sizeof(*session));
}

/* Of two that free it one does, and neither frees the next one's. */
static void
a_slot_is_freed_once(void **state)
{
	static const struct vmt_exec_asker asker = {.pid = 8, .thread = 9};
	static const struct vmt_exec_asker other_process = {.pid = 7, .thread = 9};
	static const struct vmt_exec_asker other_thread = {.pid = 8, .thread = 8};
	struct vmt_session *session;
	struct vmt_session_slot *slot;

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	slot = vmt_session_claim(session);
	assert_false(vmt_session_release(slot, 7));
	assert_int_equal(slot->state, VMT_SESSION_CLAIMED);
	slot->pid = 7;
	assert_true(vmt_session_release(slot, 7));
	assert_int_equal(slot->state, VMT_SESSION_FREE);
	assert_ptr_equal(vmt_session_claim(session), slot);
	assert_false(vmt_session_release(slot, 7));
	slot->pid = 8;
	slot->exec.thread = 9;
	slot->state = VMT_SESSION_EXEC_SEIZED;
	assert_ptr_equal(vmt_exec_request_find(session, &asker), slot);
	assert_null(vmt_exec_request_find(session, &other_process));
	assert_null(vmt_exec_request_find(session, &other_thread));
	vmt_exec_request_free(slot, 7);
	vmt_exec_request_fail(session, slot, &other_process);
	vmt_exec_request_fail(session, slot, &other_thread);
	assert_int_equal(slot->state, VMT_SESSION_EXEC_SEIZED);
	vmt_exec_request_fail(session, slot, &asker);
	assert_true(vmt_exec_request_has_failed(slot));
	assert_null(vmt_exec_request_find(session, &asker));
	vmt_exec_request_free(slot, 8);
	assert_int_equal(slot->state, VMT_SESSION_FREE);
	munmap(session, sizeof(*session));
}

/* A server that may trace nobody, as Yama has it. */
static pid_t
start_barred_server(struct vmt_session *session)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		uint32_t seen = vmt_atomic_load_acquire(&session->exec_wake);
		struct vmt_session_slot *slot = vmt_exec_request_next(session);

		if (slot)
			(void)vmt_exec_request_answer(slot, VMT_SESSION_EXEC_BARRED);
		else
			vmt_exec_request_await(session, seen, UINT64_C(1000000000));
	}
	session->collector_pid = (uint32_t)pid;
	session->exec_server = VMT_SESSION_SERVER_RUNS;
	return pid;
}

/* Asked again at most once, and noted once. */
static void
who_is_barred_goes_on(void **state)
{
	static const struct vmt_exec_asker asker = {.pid = 8, .thread = 9};
	struct vmt_session *session;
	pid_t server;

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	server = start_barred_server(session);
	assert_null(vmt_exec_request_make(session, &asker, UINT64_C(60000000000)));
	assert_int_equal(kill(server, SIGKILL), 0);
	assert_int_equal(waitpid(server, NULL, 0), server);
	assert_int_equal(session->slots[0].state, VMT_SESSION_FREE);
	assert_int_equal(session->execs_missed, 1);
	assert_int_equal(vmt_exec_request_take_missed(session), 8);
	assert_int_equal(vmt_exec_request_take_missed(session), 0);
	munmap(session, sizeof(*session));
}

static void
missed_ones_are_noted_without_a_number_where_there_is_no_room(void **state)
{
	struct vmt_session *session;

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	for (uint32_t i = 0; i < VMT_SESSION_MISSED + 3; i++)
		vmt_exec_request_count_missed(session, i + 1);
	assert_int_equal(session->execs_missed, VMT_SESSION_MISSED + 3);
	for (uint32_t i = 0; i < VMT_SESSION_MISSED; i++)
		assert_int_equal(vmt_exec_request_take_missed(session), i + 1);
	assert_int_equal(vmt_exec_request_take_missed(session), 0);
	assert_int_equal(vmt_exec_request_take_unnamed(session, 2), 2);
	assert_int_equal(vmt_exec_request_take_unnamed(session, 2), 1);
	assert_int_equal(vmt_exec_request_take_unnamed(session, 2), 0);
	munmap(session, sizeof(*session));
}

static void
forks_take_an_entry_each_till_there_is_none(void **state)
{
	struct vmt_session *session;
	uint64_t *entries[VMT_SESSION_FORKS];

	(void)state;
	assert_int_equal(vmt_session_create(path, &session), 0);
	for (uint32_t i = 0; i < VMT_SESSION_FORKS; i++) {
		entries[i] = vmt_session_tell_fork(session, 7, i + 1);
		assert_ptr_equal(entries[i], &session->forks[i]);
		assert_int_equal(*entries[i], UINT64_C(7) << 32 | (i + 1));
	}
	assert_null(vmt_session_tell_fork(session, 7, 1));
	assert_false(vmt_session_take_fork(entries[5], UINT64_C(7) << 32 | 5));
	assert_true(vmt_session_take_fork(entries[5], UINT64_C(7) << 32 | 6));
	assert_false(vmt_session_take_fork(entries[5], UINT64_C(7) << 32 | 6));
	assert_ptr_equal(vmt_session_tell_fork(session, 8, 9), entries[5]);
	munmap(session, sizeof(*session));
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(is_made_once_and_for_its_owner_alone),
	    TEST(attached_sides_share_it),
	    TEST(nameless_one_is_found_by_its_descriptor),
	    TEST(opens_no_other_descriptor_of_a_process),
	    TEST(nameless_one_has_memory_where_it_is_written),
	    TEST(refuses_what_is_no_session),
	    TEST(does_not_follow_a_link),
	    TEST(announcements_take_a_slot_each_till_there_is_none),
	    TEST(a_path_that_is_too_long_is_refused),
	    TEST(racing_processes_never_share_a_slot),
	    TEST(names_left_out_are_kept_once_and_bounded),
	    TEST(a_slot_is_freed_once),
	    TEST(who_is_barred_goes_on),
	    TEST(missed_ones_are_noted_without_a_number_where_there_is_no_room),
	    TEST(forks_take_an_entry_each_till_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
