#include "tools/model/report/go_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool
is_runtime(const struct vmt_frame *frame)
{
	return frame->function && (strncmp(frame->function, "runtime.", 8) == 0 ||
				   strncmp(frame->function, "internal/runtime/", 17) == 0);
}

/* Addresses of calls that were inlined are in the list as well: of each only the innermost function
 * counts (runtime.CallersFrames). */
static int
name_address(struct vmt_frames *frames, uint64_t address, struct vmt_frame *frame)
{
	struct vmt_stack_frames stack;
	int status = vmt_frames_of_address(frames, address, &stack);

	if (!status)
		*frame = stack.frames[0];
	free(stack.frames);
	return status;
}

int
vmt_go_lines_name(struct vmt_go_line *line, struct vmt_frames *frames, const uint64_t *addresses,
		  uint32_t count)
{
	uint32_t first = 0;
	int status = 0;

	for (; !status && first < count; first++) {
		status = name_address(frames, addresses[first], &line->path[0]);
		if (!is_runtime(&line->path[0]))
			break;
	}
	first = first == count ? 0 : first;
	line->frames = 0;
	for (uint32_t i = first; !status && i < count && line->frames < VMT_GO_LINES_FRAMES; i++)
		status = name_address(frames, addresses[i], &line->path[line->frames++]);
	return status;
}

/* Names are interned: the same one has the same address. */
static int
compare_frames(const struct vmt_frame *a, const struct vmt_frame *b)
{
	const uint64_t of_a[] = {(uintptr_t)a->function, (uintptr_t)a->file, a->line,
				 a->function ? 0 : a->address};
	const uint64_t of_b[] = {(uintptr_t)b->function, (uintptr_t)b->file, b->line,
				 b->function ? 0 : b->address};

	for (size_t i = 0; i < sizeof(of_a) / sizeof(of_a[0]); i++)
		if (of_a[i] != of_b[i])
			return of_a[i] < of_b[i] ? -1 : 1;
	return 0;
}

static int
compare_lines(const void *left, const void *right)
{
	const struct vmt_go_line *a = left;
	const struct vmt_go_line *b = right;

	return compare_frames(&a->path[0], &b->path[0]);
}

void
vmt_go_lines_sort(struct vmt_go_line *lines, size_t count)
{
	qsort(lines, count, sizeof(*lines), compare_lines);
}

size_t
vmt_go_lines_alike(const struct vmt_go_line *lines, size_t count)
{
	size_t alike = 1;

	while (alike < count && compare_lines(&lines[0], &lines[alike]) == 0)
		alike++;
	return alike;
}

static bool
is_on_path(const struct vmt_go_line *line, const struct vmt_stack_frames *stack)
{
	if (line->frames <= stack->count)
		return false;
	for (size_t i = 1; i < stack->count; i++)
		if (compare_frames(&line->path[i], &stack->frames[i]) != 0)
			return false;
	return true;
}

/* The caller through which most of what took the path came, if there is one: by a vote in which
 * every other one takes back as many bytes. */
static const struct vmt_frame *
vote(const struct vmt_go_line *lines, size_t count, const struct vmt_stack_frames *stack)
{
	const struct vmt_frame *best = NULL;
	double weight = 0;

	for (size_t i = 0; i < count; i++) {
		const struct vmt_frame *caller = &lines[i].path[stack->count];

		if (!is_on_path(&lines[i], stack))
			continue;
		if (best && compare_frames(best, caller) == 0)
			weight += lines[i].bytes;
		else if (lines[i].bytes > weight) {
			best = caller;
			weight = lines[i].bytes - weight;
		} else
			weight -= lines[i].bytes;
	}
	return best;
}

/* One caller more, where more than half of the row's bytes came through it. */
static bool
extend(const struct vmt_go_line *lines, size_t count, double all_bytes,
       struct vmt_stack_frames *stack)
{
	const struct vmt_frame *caller =
	    stack->count < VMT_GO_LINES_FRAMES ? vote(lines, count, stack) : NULL;
	double bytes = 0;

	for (size_t i = 0; caller && i < count; i++)
		if (is_on_path(&lines[i], stack) &&
		    compare_frames(&lines[i].path[stack->count], caller) == 0)
			bytes += lines[i].bytes;
	if (!caller || bytes <= all_bytes / 2)
		return false;
	stack->frames[stack->count++] = *caller;
	return true;
}

int
vmt_go_lines_stack(const struct vmt_go_line *lines, size_t count, struct vmt_stack_frames *stack)
{
	double bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += lines[i].bytes;
	*stack = (struct vmt_stack_frames){.count = 0};
	if (lines[0].frames == 0)
		return 0;
	stack->frames = malloc(VMT_GO_LINES_FRAMES * sizeof(*stack->frames));
	if (!stack->frames)
		return -ENOMEM;
	stack->frames[stack->count++] = lines[0].path[0];
	while (extend(lines, count, bytes, stack))
		continue;
	return 0;
}
