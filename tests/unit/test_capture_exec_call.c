#include "capture/entry/exec_call.h"

#include "capture/core/guard.h"
#include "format/raw_calls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct vmt_owner owner;
static struct vmt_head head;

static int
set_up(void **state)
{
	(void)state;
	memset(&head, 0, sizeof(head));
	memset(&vmt_recording, 0, sizeof(vmt_recording));
	vmt_recording.head = &head;
	owner = (struct vmt_owner){
	    .state = VMT_OWNER_RECORDING, .generation = 1, .pid = (uint32_t)getpid()};
	vmt_guard_owner = &owner;
	return 0;
}

/* No stack was free for it to be told of before it was made. */
static void
a_failure_without_a_beginning_takes_nothing_back(void **state)
{
	const struct vmt_raw_call told = {.number = VMT_EXEC_TAG | VMT_EXEC_FAILED | ENOENT};
	const struct vmt_route_caller caller = {.frame = __builtin_frame_address(0)};

	(void)state;
	assert_true(vmt_exec_call_is_told(told.number));
	assert_int_equal(vmt_exec_call_told(&told, &caller), -ENOENT);
	assert_int_equal(vmt_recording.execs, 0);
	assert_int_equal(head.end, VMT_END_RUNNING);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_failure_without_a_beginning_takes_nothing_back, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
