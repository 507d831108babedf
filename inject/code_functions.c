#include "inject/code_functions.h"

#include <stdbool.h>

/* Heap sort, which needs no memory: sinks `at` into the heap of the functions before `end`. */
static void
sink(struct vmt_code_function *functions, size_t at, size_t end)
{
	for (;;) {
		size_t child = at * 2 + 1;
		struct vmt_code_function moved = functions[at];

		if (child >= end)
			return;
		if (child + 1 < end && functions[child + 1].start > functions[child].start)
			child++;
		if (functions[child].start <= moved.start)
			return;
		functions[at] = functions[child];
		functions[child] = moved;
		at = child;
	}
}

static bool
is_sorted(const struct vmt_code_function *functions, size_t count)
{
	size_t at = 1;

	while (at < count && functions[at - 1].start <= functions[at].start)
		at++;
	return at >= count;
}

static void
sort(struct vmt_code_function *functions, size_t count)
{
	if (is_sorted(functions, count))
		return;
	for (size_t at = count / 2; at > 0; at--)
		sink(functions, at - 1, count);
	for (size_t end = count; end > 1; end--) {
		struct vmt_code_function largest = functions[0];

		functions[0] = functions[end - 1];
		functions[end - 1] = largest;
		sink(functions, 0, end - 1);
	}
}

/* Of the same start the longest stays. */
size_t
vmt_code_functions_settle(struct vmt_code_function *functions, size_t count)
{
	size_t kept = 0;

	sort(functions, count);
	for (size_t i = 0; i < count; i++) {
		struct vmt_code_function *last = kept > 0 ? &functions[kept - 1] : NULL;

		if (last && last->start == functions[i].start) {
			if (functions[i].end > last->end)
				last->end = functions[i].end;
			continue;
		}
		if (last && last->end > functions[i].start)
			last->end = functions[i].start;
		functions[kept++] = functions[i];
	}
	return kept;
}
