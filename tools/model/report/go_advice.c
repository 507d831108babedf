#include "tools/model/report/go_advice.h"

#include <string.h>

/* The first that fits any frame of a stack. */
static const struct {
	const char *function;
	const char *cause;
} causes[] = {
    {"runtime.bgscavenge", "background scavenger"},
    {"runtime/debug.FreeOSMemory", "debug.FreeOSMemory"},
    {"runtime/debug.freeOSMemory", "debug.FreeOSMemory"},
    {"runtime.debug_freeOSMemory", "debug.FreeOSMemory"},
    {"runtime.(*mheap).scavengeAll", "debug.FreeOSMemory"},
    {"runtime.sysNoHugePage", "huge pages not wanted"},
    /* Over the memory limit, or beyond the scavenger's goal: the same function. */
    {"runtime.(*pageAlloc).scavenge", "the scavenger, at an allocation"},
    {"runtime.sysUsed", "pages taken into use"},
    {"runtime.sysHugePageCollapse", "huge pages wanted"},
    {"runtime.sysHugePage", "huge pages wanted"},
    {"runtime.sysFault", "pages put out of use"},
    {"runtime.sysUnused", "pages free"},
};

/* The function, a closure in it, or its half that knows the system (sysUnusedOS). */
static bool
is_function(const char *name, const char *function)
{
	size_t length = strlen(function);

	return strncmp(name, function, length) == 0 &&
	       (name[length] == '\0' || name[length] == '.' || strcmp(name + length, "OS") == 0);
}

const char *
vmt_go_advice_of(const struct vmt_stack_frames *stack)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
		for (size_t j = 0; j < stack->count; j++) {
			const char *name = stack->frames[j].function;

			if (name && is_function(name, causes[i].function))
				return causes[i].cause;
		}
	return NULL;
}
