/* What is new of a process's map of compiled code goes into its trace, whatever lies in its place.
 */
#include "collect/jit_copy.h"

#include "base/procfs.h"
#include "base/ticks.h"
#include "format/jit_map.h"
#include "tests/unit/trace_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Beyond every pid: no run time's map has the name. */
#define MADE_UP_PID (UINT32_C(1000000000) + (uint32_t)getpid())

struct place {
	char path[40]; /* of the trace */
	char map[64];
	char other[64];
	struct vmt_buffer packed;
	struct vmt_buffer scratch;
	struct vmt_writer writer;
	struct vmt_head head;
	struct vmt_jit_copy_state copied;
	struct vmt_jit_copy_job job;
};

static int
set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	strcpy(place->path, "/tmp/vmt-jit-XXXXXX");
	place->writer.fd = mkstemp(place->path);
	place->writer.packed = &place->packed;
	snprintf(place->map, sizeof(place->map), "/tmp/perf-%u.map", MADE_UP_PID);
	snprintf(place->other, sizeof(place->other), "/tmp/perf-%u.other", MADE_UP_PID);
	place->head.pid = MADE_UP_PID;
	place->job = (struct vmt_jit_copy_job){.pid = (uint32_t)getpid(),
					       .maps_fd = vmt_procfs_open(0, "maps"),
					       .head = &place->head,
					       .scratch = &place->scratch,
					       .state = &place->copied};
	*state = place;
	return place->writer.fd >= 0 && place->job.maps_fd >= 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct place *place = *state;

	close(place->writer.fd);
	close(place->job.maps_fd);
	unlink(place->path);
	unlink(place->other);
	if (unlink(place->map) != 0)
		rmdir(place->map);
	vmt_buffer_free(&place->packed);
	vmt_buffer_free(&place->scratch);
	free(place);
	return 0;
}

static void
write_map(const char *path, const char *text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static unsigned
open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A look, which leaves no descriptor open. */
static int
look(struct place *place)
{
	unsigned before = open_descriptors();
	int result = vmt_jit_copy_take(&place->job, &place->writer);

	assert_int_equal(open_descriptors(), before);
	return result;
}

/* The chunks so far; of the last one: its text and what is said of it. */
static void
expect(struct place *place, size_t count, const char *text, uint64_t offset, uint32_t flags)
{
	struct fixture_chunks chunks;
	const struct fixture_chunk *last;
	struct vmt_jit_head head;

	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, count);
	if (count > 0) {
		last = &chunks.list[count - 1];
		assert_int_equal(last->header->kind, VMT_CHUNK_JIT);
		memcpy(&head, last->payload, sizeof(head));
		assert_int_equal(head.bytes, strlen(text));
		assert_int_equal(last->header->payload_bytes, sizeof(head) + head.bytes);
		assert_memory_equal(last->payload + sizeof(head), text, head.bytes);
		assert_int_equal(head.offset, offset);
		assert_int_equal(head.flags, flags);
	}
	fixture_free_chunks(&chunks);
}

static void
only_what_is_new_is_copied(void **state)
{
	struct place *place = *state;

	assert_int_equal(look(place), -ENOENT);
	expect(place, 0, NULL, 0, 0);
	write_map(place->map, "1000 10 a\n", 0);
	assert_int_equal(look(place), 0);
	expect(place, 1, "1000 10 a\n", 0, 0);
	assert_int_equal(look(place), 0);
	expect(place, 1, "1000 10 a\n", 0, 0);
	write_map(place->map, "2000 10 b\n3000 1", O_APPEND); /* the writer is in a line */
	assert_int_equal(look(place), 0);
	expect(place, 2, "2000 10 b\n", 10, 0);
	write_map(place->map, "0 c\n", O_APPEND);
	assert_int_equal(look(place), 0);
	expect(place, 3, "3000 10 c\n", 20, 0);
}

/* As the JVM does, and who renames a new one into its place. */
static void
a_map_that_begins_anew_is_copied_anew(void **state)
{
	struct place *place = *state;

	write_map(place->map, "1000 10 first\n", 0);
	assert_int_equal(look(place), 0);
	write_map(place->map, "1000 10 other\n2000 10 more\n", O_TRUNC);
	assert_int_equal(look(place), 0);
	expect(place, 2, "1000 10 other\n2000 10 more\n", 0, VMT_JIT_ANEW);
	write_map(place->map, "1 1 a\n", O_TRUNC);
	assert_int_equal(look(place), 0);
	expect(place, 3, "1 1 a\n", 0, VMT_JIT_ANEW);
	write_map(place->other, "1 1 a\n", 0);
	assert_int_equal(rename(place->other, place->map), 0);
	assert_int_equal(look(place), 0);
	expect(place, 4, "1 1 a\n", 0, VMT_JIT_ANEW);
	assert_int_equal(look(place), 0);
	expect(place, 4, "1 1 a\n", 0, VMT_JIT_ANEW);
}

/* Of a process that had the pid before: its lines are of other code. */
static void
what_is_older_than_the_trace_is_left_out(void **state)
{
	static const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct place *place = *state;

	place->head.start_unix_ns = UINT64_C(2000000000000);
	write_map(place->map, "1000 10 stale\n", 0);
	assert_int_equal(utimensat(AT_FDCWD, place->map, old, 0), 0);
	assert_int_equal(look(place), 0);
	expect(place, 0, NULL, 0, 0);
	write_map(place->map, "2000 10 mine\n", O_APPEND);
	assert_int_equal(look(place), 0);
	expect(place, 1, "2000 10 mine\n", 14, 0);
}

static void
what_is_no_map_is_left_alone(void **state)
{
	struct place *place = *state;

	write_map(place->other, "1000 10 secret\n", 0);
	assert_int_equal(symlink(place->other, place->map), 0);
	assert_true(look(place) < 0);
	unlink(place->map);
	assert_int_equal(mkfifo(place->map, 0600), 0);
	assert_true(look(place) < 0);
	unlink(place->map);
	assert_int_equal(mkdir(place->map, 0700), 0);
	assert_true(look(place) < 0);
	expect(place, 0, NULL, 0, 0);
}

/* Nobody's file, or a device: for root alone to make. */
static void
what_another_user_wrote_is_left_alone(void **state)
{
	struct place *place = *state;

	if (getuid() != 0)
		skip();
	write_map(place->map, "1000 10 theirs\n", 0);
	assert_int_equal(chown(place->map, 12345, 12345), 0);
	assert_true(look(place) < 0);
	unlink(place->map);
	if (mknod(place->map, S_IFCHR | 0600, 0x0105) == 0) /* /dev/zero */
		assert_true(look(place) < 0);
	expect(place, 0, NULL, 0, 0);
}

/* A process that has done so and waits; 0: it could not. */
static pid_t
start_other(const struct place *place, bool (*become)(const struct place *))
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Behind what becomes: another user's process forgets it. */
		if (!become(place) || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
		    write(ready[1], "1", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = 0;
	}
	close(ready[0]);
	return pid;
}

static void
end_other(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool
become_nobody(const struct place *place)
{
	(void)place;
	return setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0 &&
	       prctl(PR_SET_DUMPABLE, 0) == 0;
}

/* As a service does that gives up root's rights. /proc/PID is root's then. */
static void
what_the_process_can_not_read_is_left_alone(void **state)
{
	struct place *place = *state;
	pid_t pid;

	if (getuid() != 0)
		skip();
	pid = start_other(place, become_nobody);
	assert_true(pid > 0);
	place->job.pid = (uint32_t)pid;
	write_map(place->map, "1000 10 roots\n", 0);
	assert_int_equal(look(place), -ENOENT);
	assert_int_equal(chmod(place->map, 0644), 0);
	assert_int_equal(look(place), -ENOENT);
	expect(place, 0, NULL, 0, 0);
	assert_int_equal(chown(place->map, 65534, 65534), 0);
	assert_int_equal(chmod(place->map, 0200), 0);
	assert_int_equal(look(place), -ENOENT);
	assert_int_equal(chmod(place->map, 0600), 0);
	assert_int_equal(look(place), 0);
	expect(place, 1, "1000 10 roots\n", 0, 0);
	end_other(pid);
}

/* A process that got root's rights back: its trace is that of the user it was. */
static void
a_map_goes_to_its_owners_trace_only(void **state)
{
	struct place *place = *state;

	if (getuid() != 0)
		skip();
	write_map(place->map, "1000 10 roots\n", 0);
	assert_int_equal(fchown(place->writer.fd, 65534, 65534), 0);
	assert_int_equal(look(place), -ENOENT);
	expect(place, 0, NULL, 0, 0);
	assert_int_equal(fchown(place->writer.fd, 0, 0), 0);
	assert_int_equal(look(place), 0);
	expect(place, 1, "1000 10 roots\n", 0, 0);
}

static bool
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return is_written;
}

/* Root in a user namespace of its own has no more rights outside than the user it was. */
static bool
become_other_root(const struct place *place)
{
	(void)place;
	return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", "0 0 1") && setresuid(0, 0, 0) == 0;
}

static void
root_of_another_user_namespace_is_not_root(void **state)
{
	struct place *place = *state;
	pid_t pid = getuid() == 0 ? start_other(place, become_other_root) : 0;

	if (pid == 0)
		skip();
	place->job.pid = (uint32_t)pid;
	write_map(place->map, "1000 10 roots\n", 0);
	assert_int_equal(look(place), -ENOENT);
	expect(place, 0, NULL, 0, 0);
	end_other(pid);
}

static bool
mount_over_map(const struct place *place)
{
	return unshare((getuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount(place->other, place->map, NULL, MS_BIND, NULL) == 0;
}

static void
what_is_mounted_over_a_map_is_left_alone(void **state)
{
	struct place *place = *state;
	pid_t pid;

	write_map(place->map, "1000 10 mine\n", 0);
	write_map(place->other, "1000 10 other\n", 0);
	pid = start_other(place, mount_over_map);
	if (pid == 0)
		skip();
	assert_int_equal(look(place), 0); /* here nothing is mounted */
	expect(place, 1, "1000 10 mine\n", 0, 0);
	place->job.pid = (uint32_t)pid;
	assert_true(look(place) < 0);
	expect(place, 1, "1000 10 mine\n", 0, 0);
	end_other(pid);
}

/* Holes without an end: so much a look, and so much a trace. */
static void
a_huge_map_is_bounded(void **state)
{
	struct place *place = *state;
	struct fixture_chunks chunks;
	struct vmt_jit_head head;
	uint64_t before = 0;

	write_map(place->map, "", 0);
	assert_int_equal(truncate(place->map, INT64_C(1) << 40), 0);
	for (unsigned i = 0; i < 100000 && !place->copied.is_full; i++) {
		assert_int_equal(look(place), 0);
		assert_true(place->copied.copied - before <= VMT_JIT_COPY_LOOK_BYTES);
		before = place->copied.copied;
	}
	assert_true(place->copied.is_full);
	assert_true(place->copied.copied <= VMT_JIT_COPY_TRACE_BYTES);
	fixture_read_chunks(&chunks, place->path, 0);
	memcpy(&head, chunks.list[chunks.count - 1].payload, sizeof(head));
	assert_int_equal(head.flags & VMT_JIT_CUT, VMT_JIT_CUT);
	assert_int_equal(head.bytes, 0);
	before = chunks.count;
	fixture_free_chunks(&chunks);
	assert_int_equal(look(place), 0); /* and then no more */
	fixture_read_chunks(&chunks, place->path, 0);
	assert_int_equal(chunks.count, before);
	fixture_free_chunks(&chunks);
}

int
main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    CASE(only_what_is_new_is_copied),
	    CASE(a_map_that_begins_anew_is_copied_anew),
	    CASE(what_is_older_than_the_trace_is_left_out),
	    CASE(what_is_no_map_is_left_alone),
	    CASE(what_another_user_wrote_is_left_alone),
	    CASE(what_the_process_can_not_read_is_left_alone),
	    CASE(a_map_goes_to_its_owners_trace_only),
	    CASE(root_of_another_user_namespace_is_not_root),
	    CASE(what_is_mounted_over_a_map_is_left_alone),
	    CASE(a_huge_map_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
