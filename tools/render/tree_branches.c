#include "tools/render/tree_branches.h"

#include "tools/render/units.h"

#include <stdlib.h>
#include <string.h>

#define FOLDED_FROM 4u
/* Deeper ones stand as deep as this. */
#define MOST_DEPTH 16u

struct drawing {
	const struct vmt_tree *tree;
	const struct vmt_layout *layout;
	size_t *children; /* of the family, by parent, group, and start */
	size_t count;
	size_t left; /* lines */
	size_t hidden;
};

static const struct vmt_tree *sorted_tree;

static int
compare_sizes(size_t a, size_t b)
{
	return a < b ? -1 : a > b;
}

static int
by_parent(const void *left, const void *right)
{
	const struct vmt_tree_process *a = &sorted_tree->processes[*(const size_t *)left];
	const struct vmt_tree_process *b = &sorted_tree->processes[*(const size_t *)right];

	if (a->parent != b->parent)
		return compare_sizes(a->parent, b->parent);
	if (a->group != b->group)
		return compare_sizes(a->group, b->group);
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* Where the children of a process begin. */
static size_t
first_child(const struct drawing *drawing, size_t parent)
{
	size_t from = 0;
	size_t to = drawing->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (drawing->tree->processes[drawing->children[middle]].parent < parent)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static bool
is_child(const struct drawing *drawing, size_t at, size_t parent)
{
	return at < drawing->count &&
	       drawing->tree->processes[drawing->children[at]].parent == parent;
}

static bool
has_children(const struct drawing *drawing, size_t process)
{
	return is_child(drawing, first_child(drawing, process), process);
}

/* How many from there on are children of one parent, called alike, without children. */
static size_t
count_alike(const struct drawing *drawing, size_t at)
{
	const struct vmt_tree_process *first = &drawing->tree->processes[drawing->children[at]];
	size_t count = 0;

	while (at + count < drawing->count) {
		size_t child = drawing->children[at + count];
		const struct vmt_tree_process *process = &drawing->tree->processes[child];

		if (process->parent != first->parent || process->group != first->group ||
		    has_children(drawing, child))
			break;
		count++;
	}
	return count;
}

static const char *
origin_words(enum vmt_tree_origin origin)
{
	switch (origin) {
	case VMT_TREE_FORK:
		return ", forked";
	case VMT_TREE_EXEC:
		return ", executed in the same process";
	case VMT_TREE_SPAWN:
		return ", started";
	case VMT_TREE_ROOT:
		break;
	}
	return "";
}

static bool
take_line(struct drawing *drawing)
{
	if (drawing->left == 0) {
		drawing->hidden++;
		return false;
	}
	drawing->left--;
	return true;
}

static void
draw_one(struct drawing *drawing, const struct vmt_tree_process *process, size_t depth)
{
	const struct vmt_tree_process *parent =
	    process->parent != VMT_TREE_NONE ? &drawing->tree->processes[process->parent] : NULL;
	char since[VMT_UNITS_BYTES] = "";

	if (!take_line(drawing))
		return;
	if (parent)
		vmt_units_duration(since, (uint64_t)(process->start_ns > parent->start_ns
							 ? process->start_ns - parent->start_ns
							 : 0));
	vmt_layout_line(drawing->layout, VMT_STYLE_PLAIN, "%*s%u %s%s%s%s", (int)(2 + 2 * depth),
			"", process->pid, process->title,
			parent && process->is_attached ? ", recorded"
						       : origin_words(process->origin),
			parent ? " after " : "", since);
}

static void
draw_alike(struct drawing *drawing, size_t at, size_t count, size_t depth)
{
	const struct vmt_tree_process *first = &drawing->tree->processes[drawing->children[at]];
	uint32_t least = first->pid;
	uint32_t most = least;

	for (size_t i = 1; i < count; i++) {
		uint32_t pid = drawing->tree->processes[drawing->children[at + i]].pid;

		least = pid < least ? pid : least;
		most = pid > most ? pid : most;
	}
	if (take_line(drawing))
		vmt_layout_line(drawing->layout, VMT_STYLE_PLAIN,
				"%*s%zu times %s%s: pids %u to %u", (int)(2 + 2 * depth), "", count,
				drawing->tree->groups[first->group].name,
				origin_words(first->origin), least, most);
}

/* Depth first, without recursion: a trace may claim any depth. stack has where the next child of
 * each process on the way stands. */
static void
draw(struct drawing *drawing, size_t root, size_t *stack)
{
	size_t depth = 0;

	draw_one(drawing, &drawing->tree->processes[root], 0);
	stack[0] = first_child(drawing, root);
	for (size_t parent = root;;) {
		size_t at = stack[depth];
		size_t shown = depth + 1 < MOST_DEPTH ? depth + 1 : MOST_DEPTH;
		size_t alike;

		if (!is_child(drawing, at, parent)) {
			if (depth-- == 0)
				return;
			parent = drawing->tree->processes[parent].parent;
			continue;
		}
		alike = count_alike(drawing, at);
		if (alike >= FOLDED_FROM) {
			draw_alike(drawing, at, alike, shown);
			stack[depth] += alike;
			continue;
		}
		draw_one(drawing, &drawing->tree->processes[drawing->children[at]], shown);
		stack[depth]++;
		parent = drawing->children[at];
		stack[++depth] = first_child(drawing, parent);
	}
}

void
vmt_tree_branches_print(const struct vmt_tree *tree, size_t family, const struct vmt_layout *layout,
			size_t most)
{
	struct drawing drawing = {.tree = tree, .layout = layout, .left = most};
	size_t *stack = calloc(tree->count + 1, sizeof(*stack));

	drawing.children = calloc(tree->count + 1, sizeof(*drawing.children));
	for (size_t i = 0; drawing.children && i < tree->count; i++)
		if (tree->processes[i].tree == family &&
		    tree->processes[i].parent != VMT_TREE_NONE &&
		    tree->processes[i].continued == VMT_TREE_NONE)
			drawing.children[drawing.count++] = i;
	if (stack && drawing.children) {
		sorted_tree = tree;
		qsort(drawing.children, drawing.count, sizeof(*drawing.children), by_parent);
		fputc('\n', layout->out);
		vmt_layout_line(layout, VMT_STYLE_TITLE, "Who started whom");
		draw(&drawing, tree->families[family].root, stack);
		if (drawing.hidden)
			vmt_layout_line(layout, VMT_STYLE_DIM,
					"  and %zu more lines: --top N has more", drawing.hidden);
	}
	free(stack);
	free(drawing.children);
}
