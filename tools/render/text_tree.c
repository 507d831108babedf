#include "tools/render/frame_text.h"
#include "tools/render/group_rows.h"
#include "tools/render/text_sections.h"
#include "tools/render/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_COLUMNS 24u
#define PREFIX_BYTES 512u
#define WORTH_PART 200u /* of all, less is added up in one line */

/* A call site and the frames that a tree has of it, from the root on. */
struct path {
	const struct vmt_site *site;
	const struct vmt_frame **frames;
	size_t depth;
};

/* Paths that begin alike, up to the frame at `depth`. */
struct branch {
	const struct path *paths;
	size_t count;
	struct vmt_site sum;
	bool one_line; /* of the source, in all of them */
};

struct tree {
	const struct vmt_text_options *options;
	struct path *paths;
	const struct vmt_frame **frames; /* of all paths */
	size_t count;
	struct vmt_site all;
	bool looked;		   /* which pages are committed is known */
	char prefix[PREFIX_BYTES]; /* the lines that lead on beside what is printed */
};

/* What is printed below a frame: callees or callers, calls of its own, and what is left out. */
struct items {
	struct branch *branches; /* largest first */
	size_t shown;
	size_t left;
	struct vmt_site rest;
	struct vmt_site own;
	char own_text[160];
	bool has_own;
};

/* Of the frames of one function a tree makes one. */
static int
compare_functions(const struct vmt_frame *left, const struct vmt_frame *right)
{
	struct vmt_frame a = *left;
	struct vmt_frame b = *right;

	if (a.function && b.function) {
		a.file = b.file = NULL;
		a.line = b.line = 0;
	}
	return vmt_group_rows_compare_frames(&a, &b);
}

static int
compare_paths(const void *left, const void *right)
{
	const struct path *a = left;
	const struct path *b = right;

	for (size_t i = 0; i < a->depth && i < b->depth; i++) {
		int order = compare_functions(a->frames[i], b->frames[i]);

		if (order)
			return order;
	}
	return (a->depth > b->depth) - (a->depth < b->depth);
}

static int
compare_branches(const void *left, const void *right)
{
	const struct branch *a = left;
	const struct branch *b = right;

	if (a->sum.committed_bytes != b->sum.committed_bytes)
		return a->sum.committed_bytes < b->sum.committed_bytes ? 1 : -1;
	if (a->sum.reserved_bytes != b->sum.reserved_bytes)
		return a->sum.reserved_bytes < b->sum.reserved_bytes ? 1 : -1;
	return (a->paths > b->paths) - (a->paths < b->paths);
}

/* From the frame that names the stack to the outermost one that is the program's, or the other way
 * round. Returns the end of what is filled in. */
static const struct vmt_frame **
fill_path(struct path *path, const struct vmt_site *site, const struct vmt_frame **frames,
	  bool inverted)
{
	const struct vmt_stack_frames *stack = &site->stack;
	size_t owner = vmt_rank_owner(stack);
	size_t end = vmt_rank_depth(stack);

	*path = (struct path){.site = site, .frames = frames};
	if (stack->count && end <= owner)
		end = owner + 1;
	for (size_t i = owner; i < end; i++) {
		size_t at = inverted ? i : end - 1 - (i - owner);

		if (at == owner || !vmt_rank_is_passage(&stack->frames[at]))
			path->frames[path->depth++] = &stack->frames[at];
	}
	return frames + path->depth;
}

static bool
make_paths(struct tree *tree, const struct vmt_report *report, bool inverted)
{
	const struct vmt_frame **next;
	size_t frames = 1;

	for (size_t i = 0; i < report->site_count; i++)
		frames += report->sites[i].stack.count;
	tree->paths = calloc(report->site_count + 1, sizeof(*tree->paths));
	tree->frames = calloc(frames, sizeof(const struct vmt_frame *));
	if (!tree->paths || !tree->frames)
		return false;
	next = tree->frames;
	tree->count = report->site_count;
	for (size_t i = 0; i < report->site_count; i++) {
		next = fill_path(&tree->paths[i], &report->sites[i], next, inverted);
		vmt_group_rows_add(&tree->all, &report->sites[i]);
	}
	qsort(tree->paths, tree->count, sizeof(*tree->paths), compare_paths);
	return true;
}

/* One line: figures, the lines of the tree, and a name. */
static void
print_line(const struct tree *tree, enum vmt_layout_style style, const struct vmt_site *sum,
	   const char *mark, const struct vmt_frame *frame, const char *text)
{
	const struct vmt_layout *layout = &tree->options->layout;
	const char *prefix = tree->prefix;
	size_t indent = FIGURES_COLUMNS + vmt_layout_width(layout, prefix) + strlen(mark);
	char committed[VMT_UNITS_BYTES];
	char reserved[VMT_UNITS_BYTES];
	char name[1400];
	char line[VMT_LAYOUT_LINE_BYTES];

	if (!layout->whole && indent > layout->columns / 2 && *prefix) {
		prefix = "";
		mark = layout->utf8 ? "\xe2\x80\xa6 " : ".. ";
		indent = FIGURES_COLUMNS + strlen(mark);
	}
	snprintf(name, sizeof(name), "%s", text);
	if (frame)
		vmt_frame_text_fit(layout, frame, name, sizeof(name),
				   layout->columns > indent + 12 ? layout->columns - indent : 12);
	snprintf(line, sizeof(line), "%c%10s %10s  %s%s%s", sum->estimate ? '~' : ' ',
		 tree->looked ? vmt_units_bytes(committed, sum->committed_bytes) : "unknown",
		 vmt_units_bytes(reserved, sum->reserved_bytes), prefix, mark, name);
	vmt_layout_row(layout, style, line, indent);
}

/* The calls of the paths that end here. */
static void
find_own(struct items *items, const struct path *paths, size_t count, size_t depth)
{
	const char *kind = "";
	bool several = false;

	for (size_t i = 0; i < count && paths[i].depth == depth; i++) {
		vmt_group_rows_add(&items->own, paths[i].site);
		several |= i > 0 && strcmp(kind, paths[i].site->kind) != 0;
		kind = paths[i].site->kind;
		items->has_own = true;
	}
	snprintf(items->own_text, sizeof(items->own_text), "%s%s%s",
		 depth == 0 ? "(no stack) " : "", kind, several ? " and other calls" : "");
}

/* How many paths go on with the same function. */
static size_t
count_alike(const struct path *paths, size_t count, size_t depth, bool *one_line)
{
	const struct vmt_frame *first = paths[0].frames[depth];
	size_t alike = 1;

	*one_line = true;
	while (alike < count && compare_functions(paths[alike].frames[depth], first) == 0) {
		*one_line &= vmt_group_rows_compare_frames(paths[alike].frames[depth], first) == 0;
		alike++;
	}
	return alike;
}

static bool
is_worth_a_line(const struct tree *tree, const struct vmt_site *sum)
{
	return (sum->committed_bytes &&
		sum->committed_bytes >= tree->all.committed_bytes / WORTH_PART) ||
	       (sum->reserved_bytes &&
		sum->reserved_bytes >= tree->all.reserved_bytes / WORTH_PART);
}

/* The largest stay, the others are added up. */
static void
leave_out(const struct tree *tree, struct items *items, size_t branches)
{
	qsort(items->branches, branches, sizeof(*items->branches), compare_branches);
	while (items->shown < branches && items->shown < tree->options->top &&
	       is_worth_a_line(tree, &items->branches[items->shown].sum))
		items->shown++;
	for (size_t i = items->shown; i < branches; i++)
		vmt_group_rows_add(&items->rest, &items->branches[i].sum);
	items->left = branches - items->shown;
}

/* What goes on beyond depth, by its next function. */
static bool
make_items(const struct tree *tree, struct items *items, const struct path *paths, size_t count,
	   size_t depth)
{
	size_t branches = 0;
	size_t at = 0;

	*items = (struct items){.branches = calloc(count + 1, sizeof(*items->branches))};
	if (!items->branches)
		return false;
	find_own(items, paths, count, depth);
	while (at < count && paths[at].depth == depth)
		at++;
	while (at < count) {
		struct branch *branch = &items->branches[branches++];

		branch->paths = &paths[at];
		branch->count = count_alike(&paths[at], count - at, depth, &branch->one_line);
		for (size_t i = 0; i < branch->count; i++)
			vmt_group_rows_add(&branch->sum, paths[at + i].site);
		at += branch->count;
	}
	leave_out(tree, items, branches);
	return true;
}

static void print_below(struct tree *tree, const struct path *paths, size_t count, size_t depth);

/* A function, and what is below it. `goes_on` leads on to the next item beside that. */
static void
print_branch(struct tree *tree, const struct branch *branch, size_t depth, const char *mark,
	     const char *goes_on)
{
	struct vmt_frame frame = *branch->paths[0].frames[depth];
	size_t used = strlen(tree->prefix);

	if (!branch->one_line)
		frame.file = NULL;
	print_line(tree, VMT_STYLE_PLAIN, &branch->sum, mark, &frame, "");
	snprintf(tree->prefix + used, sizeof(tree->prefix) - used, "%s", goes_on);
	print_below(tree, branch->paths, branch->count, depth + 1);
	tree->prefix[used] = '\0';
}

/* What follows a frame, below it. A single item has no mark and stays on its level: such chains
 * are long, and need no room to the right. */
static void
print_below(struct tree *tree, const struct path *paths, size_t count, size_t depth)
{
	static const char *const drawn[2][4] = {
	    {"+ ", "| ", "` ", "  "}, {"\xe2\x94\x9c ", "\xe2\x94\x82 ", "\xe2\x94\x94 ", "  "}};
	const char *const *marks = drawn[tree->options->layout.utf8];
	struct items items;
	size_t to_come;
	bool alone;
	char text[64];

	if (!make_items(tree, &items, paths, count, depth))
		return;
	to_come = items.shown + items.has_own + (items.left > 0);
	alone = to_come == 1 && depth > 0;
	for (size_t i = 0; i < items.shown; i++) {
		bool last = --to_come == 0;

		print_branch(tree, &items.branches[i], depth, alone ? "" : marks[last ? 2 : 0],
			     alone ? "" : marks[last ? 3 : 1]);
	}
	if (items.has_own)
		print_line(tree, VMT_STYLE_DIM, &items.own,
			   alone ? "" : marks[--to_come == 0 ? 2 : 0], NULL, items.own_text);
	snprintf(text, sizeof(text), "(%zu more, smaller)", items.left);
	if (items.left)
		print_line(tree, VMT_STYLE_DIM, &items.rest, alone ? "" : marks[2], NULL, text);
	free(items.branches);
}

void
vmt_text_tree(const struct vmt_report *report, const struct vmt_text_options *options)
{
	struct tree tree = {.options = options, .looked = report->snapshot.taken};
	bool inverted = options->tree == VMT_TEXT_TREE_INVERTED;

	vmt_text_sections_title(options, inverted ? "Calls, from what asked for memory outwards"
						  : "Calls, from the outermost inwards");
	vmt_text_selection(options);
	vmt_layout_line(&options->layout, VMT_STYLE_DIM, " %10s %10s  call", "committed",
			"reserved");
	if (make_paths(&tree, report, inverted)) {
		print_line(&tree, VMT_STYLE_TITLE, &tree.all, "", NULL,
			   options->selection &&
				   vmt_selection_is_partial(options->selection->patterns)
			       ? "sum of what was chosen"
			       : "sum of all call sites");
		print_below(&tree, tree.paths, tree.count, 0);
		if (tree.all.estimate)
			vmt_layout_line(&options->layout, VMT_STYLE_DIM,
					"~ = estimated from samples");
	}
	free(tree.paths);
	free(tree.frames);
}
