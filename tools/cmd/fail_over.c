#include "tools/cmd/fail_over.h"

#include "tools/cmd/suggest.h"
#include "tools/render/diff_change.h"
#include "tools/render/diff_headline.h"
#include "tools/render/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[VMT_FAIL_OVER + 1] = {
    [VMT_LIMIT_COMMITTED] = "committed",
    [VMT_LIMIT_RESERVED] = "reserved",
    [VMT_LIMIT_RSS] = "rss",
    [VMT_LIMIT_VIRTUAL] = "virtual",
};

static int
find_figure(const char *name, size_t length)
{
	for (int i = 0; i < VMT_FAIL_OVER; i++)
		if (strlen(words[i]) == length && memcmp(words[i], name, length) == 0)
			return i;
	return -EINVAL;
}

static bool
parse_percent(const char *text, double *percent)
{
	char *end;

	if (!isdigit((unsigned char)*text) || tolower((unsigned char)text[1]) == 'x')
		return false;
	errno = 0;
	*percent = strtod(text, &end);
	return !errno && strcmp(end, "%") == 0;
}

/* One "figure=growth". */
static int
parse_one(struct vmt_fail_over *limits, const char *text, struct vmt_err *err)
{
	const char *equals = strchr(text, '=');
	int figure = equals ? find_figure(text, (size_t)(equals - text)) : -EINVAL;
	struct vmt_limit limit = {.set = true};

	if (figure < 0)
		return vmt_suggest_value(
		    text, strcspn(text, "="), words,
		    vmt_err_set(err, EINVAL,
				"--fail-over: '%s' is not a figure and a growth, such as "
				"committed=10%%; figures: committed, reserved, rss, virtual",
				text),
		    err);
	limit.is_share = parse_percent(equals + 1, &limit.percent);
	/* A bare number might mean a percentage. */
	if (!limit.is_share && (isdigit((unsigned char)text[strlen(text) - 1]) ||
				vmt_units_parse_bytes(equals + 1, &limit.bytes) < 0))
		return vmt_err_set(err, EINVAL,
				   "--fail-over: '%s' is not a growth like 10%% or 64MiB",
				   equals + 1);
	limits->of[figure] = limit;
	return 0;
}

int
vmt_fail_over_parse(struct vmt_fail_over *limits, const char *text, struct vmt_err *err)
{
	char one[64];

	for (;;) {
		size_t length = strcspn(text, ",");
		int result;

		if (length >= sizeof(one))
			return vmt_err_set(err, EINVAL, "--fail-over: '%s' is too long", text);
		memcpy(one, text, length);
		one[length] = '\0';
		result = parse_one(limits, one, err);
		if (result < 0 || text[length] == '\0')
			return result;
		text += length + 1;
	}
}

static const struct vmt_diff_figure *
figure_of(const struct vmt_diff *diff, int figure)
{
	switch (figure) {
	case VMT_LIMIT_RESERVED:
		return &diff->totals.reserved_bytes;
	case VMT_LIMIT_RSS:
		return &diff->totals.rss_bytes;
	case VMT_LIMIT_VIRTUAL:
		return &diff->totals.virtual_bytes;
	default:
		return &diff->totals.committed_bytes;
	}
}

static bool
is_exceeded(const struct vmt_limit *limit, const struct vmt_diff_figure *figure)
{
	if (!limit->set || figure->b <= figure->a)
		return false;
	if (!limit->is_share)
		return figure->b - figure->a > limit->bytes;
	return (double)(figure->b - figure->a) > (double)figure->a * limit->percent / 100;
}

static size_t
describe(char *text, size_t bytes, const char *word, const struct vmt_limit *limit,
	 const struct vmt_diff_figure *figure)
{
	char change[VMT_DIFF_CHANGE_BYTES];
	char before[VMT_UNITS_BYTES];
	char after[VMT_UNITS_BYTES];
	char allowed[VMT_UNITS_BYTES];
	char share[32] = "";

	if (figure->a)
		snprintf(share, sizeof(share), ", %+.1f %%",
			 100.0 * (double)(figure->b - figure->a) / (double)figure->a);
	if (limit->is_share)
		snprintf(allowed, sizeof(allowed), "%.6g %%", limit->percent);
	else
		vmt_units_bytes(allowed, limit->bytes);
	return (size_t)snprintf(text, bytes, "%s went from %s to %s (%s%s), more than %s", word,
				vmt_units_bytes(before, figure->a),
				vmt_units_bytes(after, figure->b),
				vmt_diff_change_write(change, figure), share, allowed);
}

/* Limits are for two runs of a service: not for shells that executed it, nor for one snapshot. */
static int
check_comparable(const struct vmt_diff *diff, struct vmt_err *err)
{
	bool is_a = vmt_diff_is_replaced(diff->a);
	const char *last = is_a ? diff->continues_a.last : diff->continues_b.last;

	if (is_a || vmt_diff_is_replaced(diff->b))
		return vmt_err_set(err, ENODATA,
				   "--fail-over: %s replaced itself with another program (exec): "
				   "compare the trace of that program%s%s",
				   is_a ? "A" : "B", last && *last ? ", " : "",
				   last && *last ? last : "");
	if (!diff->a->snapshot.taken || !diff->b->snapshot.taken)
		return vmt_err_set(err, ENODATA,
				   "--fail-over: %s has no snapshot of the resident pages",
				   diff->a->snapshot.taken ? "B" : "A");
	if (vmt_diff_is_one_snapshot(diff))
		return vmt_err_set(err, ENODATA, "--fail-over: A and B are the same snapshot");
	return 0;
}

int
vmt_fail_over_check(const struct vmt_fail_over *limits, const struct vmt_diff *diff,
		    struct vmt_err *err)
{
	char text[sizeof(err->text)] = "";
	size_t used = 0;
	int exceeded = check_comparable(diff, err);

	if (exceeded < 0)
		return exceeded;
	for (int i = 0; i < VMT_FAIL_OVER; i++) {
		const struct vmt_diff_figure *figure = figure_of(diff, i);

		if (!is_exceeded(&limits->of[i], figure))
			continue;
		if (exceeded++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "; ");
		used +=
		    describe(text + used, sizeof(text) - used, words[i], &limits->of[i], figure);
	}
	if (exceeded)
		vmt_err_set(err, ERANGE, "%s", text);
	return exceeded;
}
