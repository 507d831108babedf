#include "tools/export/profile.h"

#include "tools/render/headline.h"
#include "tools/render/units.h"
#include "tools/string_set.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETAINED "malloc retained"
#define TRACER "vmtrace"
#define NO_CLASS "not mapped now"
#define SMALLER "[smaller rows]"

const char *const vmt_profile_metric_names[VMT_METRICS + 1] = {
#define X(name, text, unit) text,
    VMT_METRICS_OF_PROFILE(X)
#undef X
};

const char *
vmt_profile_metric_unit(enum vmt_metric metric)
{
	static const char *const units[VMT_METRICS] = {
#define X(name, text, unit) unit,
	    VMT_METRICS_OF_PROFILE(X)
#undef X
	};

	assert(metric < VMT_METRICS);
	return units[metric];
}

/* The rows under construction. */
struct build {
	const struct vmt_report *report;
	struct vmt_profile *profile;
	bool *has_part; /* by site */
};

static uint64_t
add_capped(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static struct vmt_profile_row *
new_row(struct build *build)
{
	struct vmt_profile_row *row = &build->profile->rows[build->profile->count++];

	*row = (struct vmt_profile_row){.class = NO_CLASS, .kind = ""};
	return row;
}

/* What a site did over the run: once, whatever it has at the snapshot. */
static void
add_run(struct vmt_profile_row *row, const struct vmt_site *site)
{
	row->values[VMT_METRIC_ALLOC_OBJECTS] = site->count;
	row->values[VMT_METRIC_ALLOC_SPACE] = site->total_reserved_bytes;
	row->values[VMT_METRIC_INUSE_OBJECTS] = site->live_count;
	row->values[VMT_METRIC_RELEASED_SPACE] = site->released_bytes;
}

static void
name_site(struct vmt_profile_row *row, const struct vmt_site *site)
{
	row->kind = site->kind;
	row->estimate = site->estimate;
	if (site->stack.count)
		row->stack = &site->stack;
}

/* Sites that have no part of the mappings: those of the heap's calls, and what is gone. */
static void
add_sites(struct build *build)
{
	const struct vmt_report *report = build->report;

	for (size_t i = 0; i < report->site_count; i++) {
		const struct vmt_site *site = &report->sites[i];
		struct vmt_profile_row *row;

		if (build->has_part[i])
			continue;
		row = new_row(build);
		name_site(row, site);
		add_run(row, site);
		if (site->class)
			row->class = site->class;
		row->values[VMT_METRIC_INUSE_SPACE] = site->reserved_bytes;
		row->values[VMT_METRIC_SWAPPED_SPACE] = site->swapped_bytes;
		row->values[VMT_METRIC_COMMITTED_SPACE] = site->committed_bytes;
	}
}

/* A mapped file, but for the tracer's own. */
static bool
is_file_row(const struct vmt_memory_part *part)
{
	return part->path && part->site == SIZE_MAX && strcmp(part->class, TRACER) != 0;
}

/* "[file PATH]" or "[CLASS]"; NULL: no memory. */
static const char *
leaf_of(struct build *build, const struct vmt_memory_part *part)
{
	bool is_file = is_file_row(part);
	const char *name = is_file ? part->path : part->class;
	const char *kept;
	size_t bytes;
	char *text;

	assert(name);
	bytes = strlen(name) + sizeof("[file ]");
	text = malloc(bytes);
	if (!text)
		return NULL;
	snprintf(text, bytes, is_file ? "[file %s]" : "[%s]", name);
	kept = vmt_string_set_intern(build->profile->strings, text, strlen(text));
	free(text);
	return kept;
}

/* Parts of one site and class are one row, whatever files they map; so are those of no site, if no
 * file names them. */
static bool
is_next_of_row(const struct vmt_report *report, size_t i)
{
	const struct vmt_memory_part *part = &report->parts[i];

	return i > 0 && part->site == part[-1].site && strcmp(part->class, part[-1].class) == 0 &&
	       !is_file_row(part) && !is_file_row(&part[-1]);
}

static bool
begin_part(struct build *build, const struct vmt_memory_part *part)
{
	struct vmt_profile_row *row = new_row(build);
	bool is_retained = strcmp(part->class, RETAINED) == 0;

	row->class = part->class;
	if (part->site == SIZE_MAX || is_retained) {
		row->leaf = leaf_of(build, part);
		if (!row->leaf)
			return false;
	}
	if (part->site == SIZE_MAX)
		return true;
	assert(part->site < build->report->site_count);
	name_site(row, &build->report->sites[part->site]);
	if (!build->has_part[part->site])
		add_run(row, &build->report->sites[part->site]);
	build->has_part[part->site] = true;
	return true;
}

static bool
add_parts(struct build *build)
{
	const struct vmt_report *report = build->report;

	for (size_t i = 0; i < report->part_count; i++) {
		const struct vmt_memory_part *part = &report->parts[i];
		uint64_t *values;

		if (!is_next_of_row(report, i) && !begin_part(build, part))
			return false;
		values = build->profile->rows[build->profile->count - 1].values;
		values[VMT_METRIC_INUSE_SPACE] += part->reserved_bytes;
		values[VMT_METRIC_SWAPPED_SPACE] += part->swapped_bytes;
		values[VMT_METRIC_COMMITTED_SPACE] += part->committed_bytes;
	}
	return true;
}

/* One class's rows, of a profile that is sorted by class. */
struct span {
	struct vmt_profile_row *rows;
	size_t count;
};

static uint64_t
sum_of(const struct span *span, enum vmt_metric metric, bool estimates_alone)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < span->count; i++)
		if (!estimates_alone || span->rows[i].estimate)
			sum = add_capped(sum, span->rows[i].values[metric]);
	return sum;
}

/* Makes the rows, or the estimates among them, add up to `wanted`, less than they have. Each gets
 * what all up to it have, rounded, less what those before it got. */
static void
shrink(const struct span *span, enum vmt_metric metric, bool estimates_alone, uint64_t sum,
       uint64_t wanted)
{
	double passed = 0;
	uint64_t given = 0;

	for (size_t i = 0; i < span->count; i++) {
		uint64_t *value = &span->rows[i].values[metric];
		double upto;
		uint64_t rounded;

		if (estimates_alone && !span->rows[i].estimate)
			continue;
		passed += (double)*value;
		upto = (double)wanted * (passed / (double)sum);
		rounded = upto < (double)wanted ? (uint64_t)llround(upto) : wanted;
		*value = rounded > given ? rounded - given : 0;
		given = rounded > given ? rounded : given;
	}
}

/* Makes a class's rows add up to its figure. Returns what they lack. */
static uint64_t
fit(const struct span *span, enum vmt_metric metric, uint64_t total)
{
	uint64_t sum = sum_of(span, metric, false);
	uint64_t estimates = sum_of(span, metric, true);

	if (sum <= total)
		return total - sum;
	if (estimates > sum - total)
		shrink(span, metric, true, estimates, estimates - (sum - total));
	else
		shrink(span, metric, false, sum, total);
	sum = sum_of(span, metric, false);
	return sum < total ? total - sum : 0;
}

static const struct vmt_class *
find_class(const struct vmt_report *report, const char *name)
{
	for (size_t i = 0; i < report->class_count; i++)
		if (strcmp(report->classes[i].name, name) == 0)
			return &report->classes[i];
	return NULL;
}

/* What the rows of a class lack, as a row of the class alone. */
static bool
fit_class(struct build *build, const struct span *span, const char *name)
{
	static const struct vmt_class none;
	const struct vmt_class *class = find_class(build->report, name);
	const struct vmt_memory_part rest = {.class = name, .site = SIZE_MAX};
	uint64_t lacking[VMT_METRICS] = {0};
	struct vmt_profile_row *row;

	if (!class)
		class = &none;
	lacking[VMT_METRIC_INUSE_SPACE] = fit(span, VMT_METRIC_INUSE_SPACE, class->reserved_bytes);
	lacking[VMT_METRIC_SWAPPED_SPACE] =
	    fit(span, VMT_METRIC_SWAPPED_SPACE, class->swapped_bytes);
	lacking[VMT_METRIC_COMMITTED_SPACE] =
	    fit(span, VMT_METRIC_COMMITTED_SPACE, class->committed_bytes);
	if (!lacking[VMT_METRIC_INUSE_SPACE] && !lacking[VMT_METRIC_SWAPPED_SPACE] &&
	    !lacking[VMT_METRIC_COMMITTED_SPACE])
		return true;
	row = new_row(build);
	row->class = name;
	row->leaf = leaf_of(build, &rest);
	memcpy(row->values, lacking, sizeof(lacking));
	return row->leaf != NULL;
}

static int
compare_classes(const void *left, const void *right)
{
	const struct vmt_profile_row *a = left;
	const struct vmt_profile_row *b = right;
	int order = strcmp(a->class, b->class);

	return order ? order : (a->number > b->number) - (a->number < b->number);
}

static void
sort_rows(struct vmt_profile *profile, int (*compare)(const void *, const void *))
{
	for (size_t i = 0; i < profile->count; i++)
		profile->rows[i].number = i;
	if (profile->count)
		qsort(profile->rows, profile->count, sizeof(*profile->rows), compare);
}

/* The class's rows from `first` on. */
static struct span
class_span(const struct vmt_profile *profile, size_t first, size_t count)
{
	struct span span = {&profile->rows[first], 0};

	while (first + span.count < count &&
	       strcmp(span.rows[span.count].class, span.rows->class) == 0)
		span.count++;
	return span;
}

static bool
fit_classes(struct build *build)
{
	struct vmt_profile *profile = build->profile;
	size_t count = profile->count;
	struct span span;

	sort_rows(profile, compare_classes);
	for (size_t i = 0; i < count; i += span.count) {
		span = class_span(profile, i, count);
		if (!fit_class(build, &span, span.rows->class))
			return false;
	}
	/* What no row is of. */
	for (size_t i = 0; i < build->report->class_count; i++) {
		const char *name = build->report->classes[i].name;
		bool has_rows = false;

		for (size_t j = 0; j < count && !has_rows; j++)
			has_rows = strcmp(profile->rows[j].class, name) == 0;
		span = (struct span){profile->rows, 0};
		if (!has_rows && !fit_class(build, &span, name))
			return false;
	}
	return true;
}

static int
compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Largest first. */
static int
compare_rows(const void *left, const void *right)
{
	static const enum vmt_metric metrics[] = {VMT_METRIC_COMMITTED_SPACE,
						  VMT_METRIC_INUSE_SPACE, VMT_METRIC_ALLOC_SPACE};
	const struct vmt_profile_row *a = left;
	const struct vmt_profile_row *b = right;

	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
		int order = compare_numbers(b->values[metrics[i]], a->values[metrics[i]]);

		if (order)
			return order;
	}
	return compare_numbers(a->number, b->number);
}

static bool
is_empty(const struct vmt_profile_row *row)
{
	for (int i = 0; i < VMT_METRICS; i++)
		if (row->values[i])
			return false;
	return true;
}

static void
join_into(struct vmt_profile_row *row, const struct vmt_profile_row *small)
{
	for (int i = 0; i < VMT_METRICS; i++)
		row->values[i] = add_capped(row->values[i], small->values[i]);
	row->estimate |= small->estimate;
}

/* The rows from `first` on become one for each class. */
static void
join_small(struct vmt_profile *profile, size_t first)
{
	size_t end = first;

	for (size_t i = first; i < profile->count; i++) {
		struct vmt_profile_row small = profile->rows[i];
		size_t to = first;

		profile->joined_rows++;
		profile->joined_committed_bytes += small.values[VMT_METRIC_COMMITTED_SPACE];
		while (to < end && strcmp(profile->rows[to].class, small.class) != 0)
			to++;
		if (to == end)
			profile->rows[end++] = (struct vmt_profile_row){
			    .leaf = SMALLER, .class = small.class, .kind = ""};
		join_into(&profile->rows[to], &small);
	}
	profile->count = end;
}

static void
settle(struct vmt_profile *profile, size_t most)
{
	size_t kept = 0;

	for (size_t i = 0; i < profile->count; i++)
		if (!is_empty(&profile->rows[i]))
			profile->rows[kept++] = profile->rows[i];
	profile->count = kept;
	sort_rows(profile, compare_rows);
	/* Each class may need one more. */
	if (most < VMT_CLASSES + 2)
		most = VMT_CLASSES + 2;
	if (profile->count > most)
		join_small(profile, most - (VMT_CLASSES + 1));
	for (size_t i = 0; i < profile->count; i++)
		for (int j = 0; j < VMT_METRICS; j++)
			profile->totals[j] =
			    add_capped(profile->totals[j], profile->rows[i].values[j]);
}

static bool
fill(struct build *build)
{
	if (!add_parts(build))
		return false;
	add_sites(build);
	return !build->report->snapshot.taken || fit_classes(build);
}

struct vmt_profile *
vmt_profile_make(const struct vmt_report *report, size_t most)
{
	size_t room = report->site_count + report->part_count + 2 * (VMT_CLASSES + 1);
	struct build build = {.report = report, .profile = calloc(1, sizeof(*build.profile))};
	bool made = false;

	if (!build.profile)
		return NULL;
	build.profile->rows = calloc(room, sizeof(*build.profile->rows));
	build.profile->strings = vmt_string_set_new();
	build.has_part = calloc(report->site_count + 1, sizeof(*build.has_part));
	if (build.profile->rows && build.profile->strings && build.has_part)
		made = fill(&build);
	free(build.has_part);
	if (made)
		settle(build.profile, most);
	else
		vmt_profile_free(build.profile);
	return made ? build.profile : NULL;
}

void
vmt_profile_free(struct vmt_profile *profile)
{
	if (!profile)
		return;
	vmt_string_set_free(profile->strings);
	free(profile->rows);
	free(profile);
}

static void
say_joined(const struct vmt_profile *profile, void (*say)(void *, const char *), void *context)
{
	char bytes[VMT_UNITS_BYTES];
	char line[256];

	if (!profile->joined_rows)
		return;
	snprintf(line, sizeof(line),
		 "the smallest %zu rows (%s in RAM) are joined by class, as " SMALLER,
		 profile->joined_rows, vmt_units_bytes(bytes, profile->joined_committed_bytes));
	say(context, line);
}

void
vmt_profile_comments(const struct vmt_report *report, const struct vmt_profile *profile,
		     void (*say)(void *context, const char *line), void *context)
{
	char text[2048];

	vmt_headline_write(report, text, sizeof(text));
	say(context, text);
	vmt_headline_losses(report, text, sizeof(text));
	if (*text)
		say(context, text);
	say_joined(profile, say, context);
	for (size_t i = 0; i < report->coverage.blind_spot_count; i++)
		say(context, report->coverage.blind_spots[i]);
}
