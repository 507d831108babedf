#include "format/chunk.h"
#include "tools/render/diff_change.h"
#include "tools/render/diff_group_rows.h"
#include "tools/render/diff_text.h"
#include "tools/render/text_sections.h"

#include <stdio.h>
#include <stdlib.h>

#define SITES_SHOWN 5u
/* Below these nobody asks whose they were. */
#define WORTH_NAMING_BYTES (UINT64_C(64) << 10)
#define WORTH_NAMING_BLOCKS 1000u

typedef const struct vmt_diff_figure *figure_of(const struct vmt_diff_site *row);

/* One of the two lists. */
struct list {
	const char *title;
	figure_of *figure;
	uint64_t worth_naming;
	bool is_count;
};

static const struct vmt_diff_figure *
end_bytes(const struct vmt_diff_site *row)
{
	return &row->end_bytes;
}

static const struct vmt_diff_figure *
temporary_count(const struct vmt_diff_site *row)
{
	return &row->temporary_count;
}

static const struct list lists[] = {
    {"Blocks of malloc that are live at the end of each trace: change, A, B", end_bytes,
     WORTH_NAMING_BYTES, false},
    {"Temporary blocks, freed before their thread's next allocation: change, A, B", temporary_count,
     WORTH_NAMING_BLOCKS, true},
};

static bool
is_known(const struct vmt_diff_figure *figure)
{
	return figure->a != VMT_FIGURE_UNKNOWN && figure->b != VMT_FIGURE_UNKNOWN;
}

/* Pointers to the rows that have the figure, the largest change first; to be freed. */
struct chosen {
	const struct vmt_diff_site **rows;
	size_t count;
	struct vmt_diff_figure sum;
	bool estimate;
};

static int
compare(const struct vmt_diff_site *a, const struct vmt_diff_site *b, figure_of *figure)
{
	uint64_t of_a = vmt_diff_distance(figure(a));
	uint64_t of_b = vmt_diff_distance(figure(b));

	if (of_a == of_b)
		return a < b ? -1 : a > b; /* they are of one array */
	return of_a > of_b ? -1 : 1;
}

static int
compare_end(const void *left, const void *right)
{
	const struct vmt_diff_site *const *a = left;
	const struct vmt_diff_site *const *b = right;

	return compare(*a, *b, end_bytes);
}

static int
compare_temporary(const void *left, const void *right)
{
	const struct vmt_diff_site *const *a = left;
	const struct vmt_diff_site *const *b = right;

	return compare(*a, *b, temporary_count);
}

static bool
choose(struct chosen *chosen, const struct vmt_diff_rows *rows, const struct list *list)
{
	*chosen = (struct chosen){.rows = NULL};
	chosen->rows = calloc(rows->count + 1, sizeof(*chosen->rows));
	if (!chosen->rows)
		return false;
	for (size_t i = 0; i < rows->count; i++) {
		const struct vmt_diff_figure *figure = list->figure(&rows->sites[i]);

		if (!is_known(figure))
			continue;
		chosen->sum.a += figure->a;
		chosen->sum.b += figure->b;
		chosen->estimate |= rows->sites[i].estimate;
		chosen->rows[chosen->count++] = &rows->sites[i];
	}
	qsort(chosen->rows, chosen->count, sizeof(*chosen->rows),
	      list->is_count ? compare_temporary : compare_end);
	return true;
}

static const char *
write_figures(char text[96], const struct list *list, const struct vmt_diff_figure *figure,
	      bool estimate)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char counted[VMT_UNITS_BYTES];
	char a[VMT_UNITS_BYTES];
	char b[VMT_UNITS_BYTES];

	if (!list->is_count) {
		vmt_diff_change_write(change, figure);
		vmt_units_bytes(a, figure->a);
		vmt_units_bytes(b, figure->b);
	} else {
		snprintf(change, sizeof(change), "%s%s",
			 figure->b > figure->a	 ? "+"
			 : figure->b < figure->a ? "-"
						 : "",
			 vmt_units_count(counted, vmt_diff_distance(figure)));
		vmt_units_count(a, figure->a);
		vmt_units_count(b, figure->b);
	}
	snprintf(text, 96, "%c%11s %9s %9s", estimate ? '~' : ' ', change, a, b);
	return text;
}

static void
print_row(const struct vmt_diff_text_options *options, const struct list *list,
	  const struct vmt_diff_site *row)
{
	const struct vmt_text_options text = {.layout = options->layout,
					      .callers = options->callers};
	char figures[96];
	char kind[64];

	snprintf(kind, sizeof(kind), "%s%s",
		 row->match == VMT_DIFF_NEW    ? "new "
		 : row->match == VMT_DIFF_GONE ? "gone "
					       : "",
		 row->kind);
	write_figures(figures, list, list->figure(row), row->estimate);
	vmt_text_sections_named(&text, figures, kind, &row->shown->stack);
}

/* The sum, then the call sites whose change is worth a name. */
static void
print_list(const struct vmt_diff_text_options *options, const struct list *list,
	   const struct chosen *chosen)
{
	const struct vmt_text_options text = {.layout = options->layout};
	size_t most = options->top < SITES_SHOWN ? options->top : SITES_SHOWN;
	size_t worth = 0;
	char figures[96];

	while (worth < chosen->count &&
	       vmt_diff_distance(list->figure(chosen->rows[worth])) >= list->worth_naming)
		worth++;
	if (worth < most)
		most = worth;
	vmt_text_sections_title(&text, list->title);
	vmt_layout_line(&options->layout, VMT_STYLE_PLAIN, "%s  all, of %zu call site%s%s",
			write_figures(figures, list, &chosen->sum, chosen->estimate), chosen->count,
			chosen->count == 1 ? "" : "s", worth == 0 ? ": none differs by much" : "");
	for (size_t i = 0; i < most; i++)
		print_row(options, list, chosen->rows[i]);
	if (worth > most)
		vmt_layout_line(&options->layout, VMT_STYLE_DIM, "  and %zu more call site%s",
				worth - most, worth - most == 1 ? "" : "s");
}

void
vmt_diff_text_blocks(const struct vmt_diff *diff, const struct vmt_diff_text_options *options)
{
	struct vmt_diff_rows rows = {.count = 0};
	bool merged = vmt_diff_group_rows_merge(&rows, diff, options->callers);

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && merged; i++) {
		struct chosen chosen;

		if (choose(&chosen, &rows, &lists[i]) && chosen.count > 0)
			print_list(options, &lists[i], &chosen);
		free(chosen.rows);
	}
	vmt_diff_group_rows_free(&rows);
}
