#include "tests/sanitized.h"
#include "tests/unit/collector_place.h"

#include "collect/fork_children.h"
#include "collect/trace_clock.h"

#include <glob.h>
#include <limits.h>
#include <sys/prctl.h>

#define PARENT_ID 77u
#define CHILD_STATUS 7

/* A parent that is traced and a child of it that says nothing, which lives until the pipe ends. */
struct family {
	struct place place;
	pid_t parent;
	pid_t child;
	int hold; /* the pipe's end that keeps the child */
	char announced[PATH_MAX];
};

static _Noreturn void
be_silent(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
	_exit(CHILD_STATUS);
}

/* In the parent: forks, and says the child's pid in an event and through the pipe. */
static _Noreturn void
be_parent(const struct family *family, uint32_t notes, uint32_t flags, const int life[2], int tell)
{
	struct fixture_trace trace;
	struct vmt_map_event event = {.kind = VMT_EVENT_FORK, .flags = flags};
	struct vmt_ring_view ring;
	uint64_t position;
	struct vmt_map_event *slot;
	pid_t child;

	fixture_make(&trace, family->place.trace_path, PLACE_CAPACITY, PARENT_ID);
	trace.head->notes = notes;
	close(life[1]);
	child = fork();
	if (child == 0)
		be_silent(life[0]);
	event.argument_a = (uint64_t)child;
	ring = vmt_head_ring(trace.head, trace.base, 0, VMT_RING_MAP);
	slot = vmt_ring_claim(&ring, &position);
	event.sequence = slot->sequence;
	event.time = vmt_trace_clock_now(trace.head->clock);
	*slot = event;
	if (!vmt_ring_commit(&ring, position) || write(tell, &child, sizeof(child)) < 0 ||
	    !vmt_session_announce(family->place.session, (uint32_t)getpid(), PARENT_ID,
				  family->place.trace_path))
		_exit(99);
	waitpid(child, NULL, 0);
	_exit(0);
}

static void
family_begin(struct family *family, uint32_t notes, uint32_t flags)
{
	int life[2];
	int tell[2];

	memset(family, 0, sizeof(*family));
	place_set_up(&family->place);
	assert_int_equal(pipe2(life, O_CLOEXEC), 0);
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	family->parent = fork();
	assert_true(family->parent >= 0);
	if (family->parent == 0)
		be_parent(family, notes, flags, life, tell[1]);
	close(life[0]);
	close(tell[1]);
	family->hold = life[1];
	assert_int_equal(read(tell[0], &family->child, sizeof(family->child)),
			 sizeof(family->child));
	close(tell[0]);
}

static void
let_go(struct family *family)
{
	if (family->hold >= 0)
		close(family->hold);
	family->hold = -1;
}

static void
note_announced(void *context, uint32_t pid, const char *path)
{
	struct family *family = context;

	if (pid != (uint32_t)family->child)
		return;
	snprintf(family->announced, sizeof(family->announced), "%s", path);
	let_go(family);
}

static size_t
count_files(const struct family *family)
{
	char pattern[PATH_MAX];
	glob_t found;
	size_t count;

	snprintf(pattern, sizeof(pattern), "%s/*", family->place.directory);
	count = glob(pattern, GLOB_PERIOD, NULL, &found) == 0 ? found.gl_pathc - 2 : 0;
	globfree(&found);
	return count;
}

static void
family_end(struct family *family)
{
	int status;

	let_go(family);
	assert_int_equal(waitpid(family->parent, &status, 0), family->parent);
	assert_int_equal(status, 0);
	place_tear_down(&family->place);
}

static void
a_silent_child_gets_a_trace(void **state)
{
	struct family family;
	struct fixture_chunks chunks;
	const struct vmt_head *head;
	char wanted[PATH_MAX];
	size_t snapshots = 0;
	uint64_t abandoned;

	(void)state;
	family_begin(&family, 0, 0);
	struct vmt_collector_host host = {.first_pid = (uint32_t)family.parent,
					  .session_path = family.place.session_path,
					  .announce = note_announced,
					  .context = &family};

	assert_int_equal(vmt_collector_run(family.place.session, &host), 0);
	snprintf(wanted, sizeof(wanted), "%s/a.%d.vmt", family.place.directory, (int)family.child);
	assert_string_equal(family.announced, wanted);
	assert_int_equal(count_files(&family), 2);
	place_read_trace(&chunks, wanted);
	place_check_end(&chunks, VMT_END_EXIT, CHILD_STATUS);
	head = (const void *)chunks.bytes;
	assert_int_equal(head->pid, family.child);
	assert_int_equal(head->parent_pid, family.parent);
	assert_int_equal(head->forked_from, PARENT_ID);
	assert_int_equal(head->notes, VMT_NOTE_FORKED | VMT_NOTE_OUTSIDE);
	for (size_t i = 0; i < chunks.count; i++)
		snapshots += chunks.list[i].header->kind == VMT_CHUNK_SNAPSHOT;
	/* One of terabytes is dear: there may be no credit for it in a second. */
	assert_true(SANITIZED || snapshots > 0);
	assert_true(place_count_events(&chunks, &abandoned) > 1);
	assert_int_equal(abandoned, 0);
	fixture_free_chunks(&chunks);
	unlink(wanted);
	family_end(&family);
}

/* Ends the child once the parent's events are in its trace, which they are when it is drained. */
static bool
release_when_drained(void *context)
{
	struct family *family = context;
	struct vmt_head head;
	struct vmt_ring ring;
	int fd = open(family->place.trace_path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(pread(fd, &ring, sizeof(ring),
			       (off_t)(head.controls_offset + VMT_RING_MAP * sizeof(ring))),
			 sizeof(ring));
	close(fd);
	if (ring.tail > 0)
		let_go(family);
	return false;
}

static void
check_alone(uint32_t notes, uint32_t flags)
{
	struct family family;

	family_begin(&family, notes, flags);
	struct vmt_collector_host host = {.first_pid = (uint32_t)family.parent,
					  .session_path = family.place.session_path,
					  .announce = note_announced,
					  .expects_more = release_when_drained,
					  .context = &family};

	assert_int_equal(vmt_collector_run(family.place.session, &host), 0);
	assert_string_equal(family.announced, "");
	assert_int_equal(count_files(&family), 1);
	family_end(&family);
}

static void
no_trace_is_left_of_one_that_ends_soon(void **state)
{
	(void)state;
	check_alone(0, 0);
}

static void
no_child_is_taken_up_that_is_not_wanted(void **state)
{
	(void)state;
	check_alone(VMT_NOTE_NO_FORKS, 0);
	check_alone(0, CLONE_VM);
}

/* Without the collector around it: a parent that is this process. */
struct alone {
	struct vmt_shared shared;
	struct vmt_fork_children children;
	struct vmt_session session;
	struct vmt_traced parent;
	struct vmt_head head;
	bool known;
	size_t asked;
};

static struct vmt_traced *
no_entry(void *context)
{
	struct alone *alone = context;

	alone->asked++;
	return NULL;
}

static bool
say_known(void *context, uint32_t pid, uint64_t start_ticks)
{
	struct alone *alone = context;

	(void)pid;
	assert_true(start_ticks > 0);
	return alone->known;
}

static struct vmt_traced *
find_parent(void *context, uint32_t pid)
{
	struct alone *alone = context;

	return pid == alone->parent.pid ? &alone->parent : NULL;
}

static struct alone *
alone_begin(void)
{
	struct alone *alone = calloc(1, sizeof(*alone));

	assert_non_null(alone);
	alone->children = (struct vmt_fork_children){.shared = &alone->shared,
						     .free_entry = no_entry,
						     .is_known = say_known,
						     .with_pid = find_parent,
						     .context = alone};
	alone->shared.session = &alone->session;
	alone->parent.state = VMT_PROCESS_LIVE;
	alone->parent.pid = (uint32_t)getpid();
	alone->parent.random_id = 5;
	alone->parent.base = (unsigned char *)&alone->head;
	alone->parent.writer.fd = memfd_create("trace", MFD_CLOEXEC);
	assert_true(alone->parent.writer.fd >= 0);
	alone->parent.layout.page_bytes = 4096;
	assert_int_equal(prctl(PR_GET_NAME, alone->parent.name), 0);
	return alone;
}

static void
alone_end(struct alone *alone)
{
	assert_int_equal(vmt_fork_children_due_ns(&alone->children), UINT64_MAX);
	vmt_buffer_free(&alone->children.queue);
	close(alone->parent.writer.fd);
	free(alone);
}

/* Looks until nobody waits any more. */
static void
look_at_all(struct alone *alone)
{
	while (vmt_fork_children_due_ns(&alone->children) != UINT64_MAX) {
		vmt_fork_children_visit(&alone->children);
		sched_yield();
	}
}

static void
what_can_not_be_looked_at_is_noted(void **state)
{
	struct alone *alone = alone_begin();
	pid_t child = fork();

	(void)state;
	if (child == 0)
		for (;;)
			pause();
	alone->known = true;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)child,
			       vmt_ticks_monotonic_ns());
	assert_true(vmt_fork_children_are_running(&alone->children));
	look_at_all(alone);
	assert_int_equal(alone->head.notes, 0);
	alone->known = false;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)child,
			       vmt_ticks_monotonic_ns());
	vmt_fork_children_settle(&alone->children, &alone->parent);
	assert_int_equal(alone->asked, 1);
	assert_int_equal(alone->head.notes, VMT_NOTE_CHILD_UNSEEN);
	alone->head.notes = 0;
	look_at_all(alone);
	assert_int_equal(alone->asked, 1);
	alone->parent.elsewhere = true;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)child,
			       vmt_ticks_monotonic_ns());
	look_at_all(alone);
	assert_int_equal(alone->asked, 1);
	assert_int_equal(alone->head.notes, VMT_NOTE_CHILD_UNSEEN);
	alone->head.notes = 0;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)child,
			       vmt_ticks_monotonic_ns());
	look_at_all(alone);
	assert_int_equal(alone->head.notes, 0);
	assert_false(vmt_fork_children_are_running(&alone->children));
	alone_end(alone);
}

/* A pid may be one of another pid namespace: a process that was there before the parent has it. */
static void
who_began_before_the_parent_is_not_waited_for(void **state)
{
	struct alone *alone = alone_begin();
	struct vmt_procfs_stat own;
	int fd = vmt_procfs_open((uint32_t)getpid(), "stat");

	(void)state;
	assert_true(fd >= 0 && vmt_procfs_read_stat(fd, &own));
	close(fd);
	alone->parent.state = VMT_PROCESS_UNSEEN;
	alone->parent.start_ticks = own.start_ticks;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)getpid(), 1);
	assert_true(vmt_fork_children_are_running(&alone->children));
	for (uint32_t i = 0; i < VMT_FORK_CHILDREN_KEPT; i++) {
		alone->parent.start_ticks = own.start_ticks + 1;
		vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)getpid(), 1);
	}
	assert_false(vmt_fork_children_are_running(&alone->children));
	alone_end(alone);
}

static const struct vmt_untraced *
only_record(const struct alone *alone)
{
	assert_int_equal(alone->parent.untraced_count, 1);
	return &alone->parent.untraced[0];
}

/* One that had ended, one that had a trace, and one that can't be observed. */
static void
children_without_a_trace_are_told_of(void **state)
{
	struct alone *alone = alone_begin();
	uint64_t fork_ns = vmt_ticks_monotonic_ns();
	const struct vmt_untraced *record;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)child, fork_ns);
	look_at_all(alone);
	record = only_record(alone);
	assert_int_equal(record->pid, child);
	assert_int_equal(record->why, VMT_UNTRACED_BRIEF);
	assert_int_equal(record->start_ns, fork_ns);
	assert_true(record->end_ns > fork_ns && record->end_ns <= vmt_ticks_monotonic_ns());
	assert_int_equal(record->private_bytes, VMT_FIGURE_UNKNOWN);
	alone->shared.last_pids[3] = (uint32_t)child;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)child, fork_ns);
	look_at_all(alone);
	assert_int_equal(alone->parent.untraced_count, 1);
	alone->parent.untraced_count = 0;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)getpid(), fork_ns);
	look_at_all(alone);
	record = only_record(alone);
	assert_int_equal(record->why, VMT_UNTRACED_REFUSED);
	assert_int_equal(record->end_ns, VMT_UNTRACED_RUNS);
	assert_true(record->rss_bytes > 4096 && record->rss_bytes < UINT64_C(1) << 40);
	alone_end(alone);
}

/* A child without a trace says so in the session. */
static void
forks_that_the_session_tells_of_are_looked_at(void **state)
{
	struct alone *alone = alone_begin();
	uint64_t *entry = vmt_session_tell_fork(&alone->session, alone->parent.pid, INT32_MAX);

	(void)state;
	assert_non_null(entry);
	vmt_fork_children_note_told(&alone->children);
	assert_int_equal(*entry, 0);
	assert_int_equal(alone->children.end - alone->children.first, 1);
	look_at_all(alone);
	/* Who ends has its children looked at before it is forgotten. */
	entry = vmt_session_tell_fork(&alone->session, alone->parent.pid, (uint32_t)getpid());
	assert_int_equal(alone->head.forks_over, 0);
	vmt_fork_children_settle(&alone->children, &alone->parent);
	assert_int_equal(alone->head.forks_over, 1);
	assert_int_equal(*entry, 0);
	assert_int_equal(alone->asked, 1);
	alone->head.notes = 0;
	look_at_all(alone);
	/* A parent that is not known: it stays to be taken back. */
	entry = vmt_session_tell_fork(&alone->session, 1, (uint32_t)getpid());
	vmt_fork_children_note_told(&alone->children);
	assert_int_equal(*entry, UINT64_C(1) << 32 | (uint32_t)getpid());
	assert_int_equal(alone->asked, 1);
	alone_end(alone);
}

/* An entry may have been taken by another process meanwhile. */
static void
children_of_a_parent_that_is_gone_are_passed_over(void **state)
{
	struct alone *alone = alone_begin();

	(void)state;
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)getpid(),
			       vmt_ticks_monotonic_ns());
	alone->parent.random_id = 6;
	look_at_all(alone);
	vmt_fork_children_note(&alone->children, &alone->parent, (uint32_t)getpid(),
			       vmt_ticks_monotonic_ns());
	alone->parent.state = VMT_PROCESS_NONE;
	look_at_all(alone);
	assert_int_equal(alone->asked, 0);
	assert_int_equal(alone->head.notes, 0);
	alone_end(alone);
}

/* More than the queue holds are counted as not looked at; and the queue is used anew. */
static void
a_storm_of_forks_is_bounded(void **state)
{
	struct alone *alone = alone_begin();

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 20000; i++)
			vmt_fork_children_note(&alone->children, &alone->parent, INT32_MAX,
					       vmt_ticks_monotonic_ns());
		assert_int_equal(alone->head.notes, 0);
		look_at_all(alone);
	}
	for (uint32_t i = 0; i < 40000; i++)
		vmt_fork_children_note(&alone->children, &alone->parent, INT32_MAX,
				       vmt_ticks_monotonic_ns());
	assert_int_equal(alone->head.notes, VMT_NOTE_CHILD_UNSEEN);
	assert_true(alone->children.queue.capacity <= (4u << 20));
	look_at_all(alone);
	alone_end(alone);
}

/* A parent that can't be seen, and lives or not: as long as somebody has its trace open. */
static void
a_child_in_another_pid_namespace_is_said(void **state)
{
	struct vmt_fork_children children = {.first = 0};
	struct vmt_traced parent = {.state = VMT_PROCESS_UNSEEN, .aside_fd = -1};
	char path[] = "/tmp/vmt-unseen-XXXXXX";
	struct vmt_head head = {.notes = 0};
	int writer;

	(void)state;
	parent.trace_fd = mkstemp(path);
	assert_true(parent.trace_fd >= 0);
	parent.base = (unsigned char *)&head;
	if (fcntl(parent.trace_fd, F_SETLEASE, F_WRLCK) == 0) {
		assert_int_equal(fcntl(parent.trace_fd, F_SETLEASE, F_UNLCK), 0);
		vmt_fork_children_note(&children, &parent, 4321, 1);
		assert_int_equal(head.notes, 0);
	}
	writer = open(path, O_RDWR | O_CLOEXEC);
	vmt_fork_children_note(&children, &parent, 4321, 1);
	assert_int_equal(head.notes, VMT_NOTE_CHILD_UNSEEN);
	close(writer);
	close(parent.trace_fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_child_in_another_pid_namespace_is_said),
	    cmocka_unit_test(a_silent_child_gets_a_trace),
	    cmocka_unit_test(no_trace_is_left_of_one_that_ends_soon),
	    cmocka_unit_test(no_child_is_taken_up_that_is_not_wanted),
	    cmocka_unit_test(what_can_not_be_looked_at_is_noted),
	    cmocka_unit_test(who_began_before_the_parent_is_not_waited_for),
	    cmocka_unit_test(children_without_a_trace_are_told_of),
	    cmocka_unit_test(children_of_a_parent_that_is_gone_are_passed_over),
	    cmocka_unit_test(a_storm_of_forks_is_bounded),
	    cmocka_unit_test(forks_that_the_session_tells_of_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
