/* Who takes a ring's releases, and is killed: the kernel tells. */
#include "collect/releases.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CAPACITY 8u

struct shared {
	struct vmt_ring control;
	struct vmt_heap_event slots[CAPACITY];
};

struct place {
	struct shared *shared;
	struct vmt_ring_view ring;
};

static int
set_up(void **state)
{
	static struct place place;
	void *mapped = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(mapped != MAP_FAILED);
	place.shared = mapped;
	place.ring = (struct vmt_ring_view){.control = &place.shared->control,
					    .slots = (unsigned char *)place.shared->slots,
					    .capacity = CAPACITY,
					    .slot_bytes = sizeof(place.shared->slots[0])};
	*state = &place;
	return 0;
}

static int
tear_down(void **state)
{
	const struct place *place = *state;

	munmap(place->shared, sizeof(*place->shared));
	return 0;
}

static uint8_t
kind_of(const void *slot)
{
	const struct vmt_heap_event *event = slot;

	return (uint8_t)(event->address_kind >> VMT_ADDRESS_BITS);
}

static void
fill(const struct place *place)
{
	uint64_t position;
	struct vmt_heap_event *slot;

	for (slot = vmt_ring_claim(&place->ring, &position); slot;
	     slot = vmt_ring_claim(&place->ring, &position)) {
		slot->address_kind = vmt_event_pack_address(position, VMT_EVENT_FREE);
		assert_true(vmt_ring_commit(&place->ring, position));
	}
}

/* A collector that releases so many slots and stops there. */
static pid_t
start_releases(const struct place *place, unsigned released)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!vmt_releases_begin(&place->ring))
			_exit(1);
		for (unsigned i = 0; i < released; i++)
			vmt_ring_release_alone(&place->ring, i, VMT_EVENT_FREE);
		raise(SIGSTOP);
		vmt_releases_end(&place->ring);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static void
kill_it(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void
begins_and_ends(void **state)
{
	const struct place *place = *state;

	fill(place);
	assert_true(vmt_releases_begin(&place->ring));
	assert_int_equal(place->shared->control.releaser, (uint32_t)gettid());
	assert_false(vmt_ring_discard_oldest(&place->ring, kind_of));
	vmt_releases_end(&place->ring);
	assert_int_equal(place->shared->control.releaser, 0);
	assert_true(vmt_releases_begin(&place->ring));
	vmt_releases_end(&place->ring);
	assert_true(vmt_ring_discard_oldest(&place->ring, kind_of));
	assert_false(vmt_releases_begin(&place->ring));
}

static void
one_that_is_stopped_is_left_alone(void **state)
{
	const struct place *place = *state;
	pid_t pid;

	fill(place);
	pid = start_releases(place, 3);
	assert_int_equal(place->shared->control.releaser, (uint32_t)pid);
	for (unsigned i = 0; i < 2 * VMT_RING_STALL_LIMIT; i++)
		assert_false(vmt_ring_discard_oldest(&place->ring, kind_of));
	assert_int_equal(place->shared->control.overwritten[VMT_EVENT_FREE], 0);
	kill_it(pid);
}

static void
one_that_was_killed_holds_up_nobody(void **state)
{
	const struct place *place = *state;
	struct vmt_ring *control = &place->shared->control;

	for (unsigned released = 0; released <= CAPACITY; released++) {
		memset(place->shared, 0, sizeof(*place->shared));
		fill(place);
		kill_it(start_releases(place, released));
		assert_int_equal(control->releaser, VMT_RING_RELEASER_DIED);
		assert_false(vmt_releases_begin(&place->ring));
		fill(place);
		assert_int_equal(control->head, CAPACITY + released);
		while (vmt_ring_discard_oldest(&place->ring, kind_of))
			;
		assert_int_equal(control->releaser, VMT_RING_CONTESTED);
		assert_int_equal(control->tail, control->head);
		assert_int_equal(control->overwritten[VMT_EVENT_FREE], CAPACITY);
	}
}

static void
one_that_is_killed_later_leaves_nothing(void **state)
{
	const struct place *place = *state;
	pid_t pid = start_releases(place, 0);
	int status;

	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(place->shared->control.releaser, 0);
	kill_it(pid);
	assert_int_equal(place->shared->control.releaser, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(begins_and_ends, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_that_is_stopped_is_left_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_that_was_killed_holds_up_nobody, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_that_is_killed_later_leaves_nothing, set_up,
					    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
