#include "tools/model/report/go_advice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DEPTH 8u

static void
the_stack_tells_the_cause(void **state)
{
	static const struct {
		const char *cause;
		const char *names[DEPTH];
	} cases[] = {
	    {"background scavenger",
	     {"runtime.madvise", "runtime.sysUnusedOS", "runtime.sysUnused",
	      "runtime.(*pageAlloc).scavengeOne", "runtime.(*pageAlloc).scavenge",
	      "runtime.(*scavengerState).run", "runtime.bgscavenge", "runtime.goexit"}},
	    {"debug.FreeOSMemory",
	     {"runtime.madvise", "runtime.sysUnusedOS", "runtime.(*pageAlloc).scavenge",
	      "runtime.(*mheap).scavengeAll", "runtime/debug.freeOSMemory.func1",
	      "runtime/debug.FreeOSMemory", "main.main"}},
	    {"the scavenger, at an allocation",
	     {"runtime.madvise", "runtime.(*pageAlloc).scavengeOne",
	      "runtime.(*pageAlloc).scavenge.func1", "runtime.(*pageAlloc).scavenge",
	      "runtime.(*mheap).allocSpan", "main.leak"}},
	    {"huge pages not wanted",
	     {"runtime.madvise", "runtime.sysNoHugePageOS", "runtime.sysNoHugePage",
	      "runtime.(*pageAlloc).scavengeOne", "runtime.(*pageAlloc).scavenge",
	      "runtime.(*mheap).allocSpan", "main.leak"}},
	    {"pages taken into use",
	     {"runtime.madvise", "runtime.sysHugePageOS", "runtime.sysUsed"}},
	    {"huge pages wanted", {"runtime.madvise", "runtime.sysHugePageCollapseOS"}},
	    {"huge pages not wanted", {"runtime.madvise", "runtime.sysNoHugePageOS"}},
	    {NULL, {"give_back", "main"}},
	    {NULL, {"runtime.sysUsedful"}},
	    {NULL, {NULL}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vmt_frame frames[DEPTH + 1] = {{0}};
		struct vmt_stack_frames stack = {.frames = frames};
		char names[DEPTH][64];
		const char *cause;

		for (; stack.count < DEPTH && cases[i].names[stack.count]; stack.count++) {
			strcpy(names[stack.count], cases[i].names[stack.count]);
			frames[stack.count].function = names[stack.count];
		}
		/* a frame without a name does no harm */
		stack.count++;
		cause = vmt_go_advice_of(&stack);
		if (cases[i].cause)
			assert_string_equal(cause, cases[i].cause);
		else
			assert_null(cause);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_stack_tells_the_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
