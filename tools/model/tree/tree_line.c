#include "tools/model/tree/tree_line.h"

#include "tools/model/tree/tree_moment.h"

#include <assert.h>
#include <stdlib.h>

struct filling {
	struct vmt_tree *tree;
	size_t *steps; /* of each family */
	size_t most;
	bool has_memory;
};

static void
count_step(void *context, size_t family, int64_t time_ns, const struct vmt_tree_sums *sums)
{
	struct filling *filling = context;

	(void)sums;
	filling->steps[family] += time_ns != INT64_MAX;
}

/* So many steps become one point. */
static size_t
width_of(const struct filling *filling, size_t family)
{
	return (filling->steps[family] + filling->most - 1) / filling->most;
}

static void
make_room(struct filling *filling)
{
	for (size_t i = 0; i < filling->tree->family_count && filling->has_memory; i++) {
		struct vmt_tree_family *family = &filling->tree->families[i];
		size_t width = width_of(filling, i);
		size_t room = width ? filling->steps[i] / width + 1 : 1;

		family->line = calloc(room, sizeof(*family->line));
		filling->has_memory = family->line != NULL;
	}
}

/* The last of a stretch closes it: what its highest is, is known then. */
static void
add_step(void *context, size_t number, int64_t time_ns, const struct vmt_tree_sums *sums)
{
	struct filling *filling = context;
	struct vmt_tree_family *family = &filling->tree->families[number];
	size_t width = width_of(filling, number);
	struct vmt_tree_point *last = &family->line[family->line_count];

	if (time_ns == INT64_MAX)
		return;
	if (last->rss_bytes <= sums->rss_bytes || last->time_ns == 0)
		*last = (struct vmt_tree_point){time_ns, sums->rss_bytes};
	family->line_steps++;
	family->line_count += family->line_steps % width == 0;
}

bool
vmt_tree_line_fill(struct vmt_tree *tree, size_t most_points)
{
	struct filling filling = {.tree = tree,
				  .steps = calloc(tree->family_count + 1, sizeof(size_t)),
				  .most = most_points};

	assert(most_points >= 2);
	filling.has_memory = filling.steps && vmt_tree_moment_sweep(tree, count_step, &filling);
	if (filling.has_memory)
		make_room(&filling);
	if (filling.has_memory)
		filling.has_memory = vmt_tree_moment_sweep(tree, add_step, &filling);
	for (size_t i = 0; filling.has_memory && i < tree->family_count; i++) {
		size_t width = width_of(&filling, i);

		tree->families[i].line_count +=
		    width > 0 && tree->families[i].line_steps % width != 0;
	}
	free(filling.steps);
	return filling.has_memory;
}
