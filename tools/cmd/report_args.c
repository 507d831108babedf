#include "tools/cmd/report_args.h"

#include "tools/cmd/suggest.h"
#include "tools/render/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* 12:45:13, 12:45 */
static bool
read_clock(const char *text, int64_t *at_ns)
{
	struct tm clock = {0};
	const char *end = strptime(text, "%H:%M:%S", &clock);

	if (!end || *end) {
		clock = (struct tm){0};
		end = strptime(text, "%H:%M", &clock);
	}
	if (!end || *end)
		return false;
	*at_ns = INT64_C(1000000000) * (clock.tm_hour * 3600 + clock.tm_min * 60 + clock.tm_sec);
	return true;
}

int
vmt_report_args_at(const char *option, const char *text, struct vmt_report_options *build,
		   struct vmt_err *err)
{
	static const char *const moments[] = {"peak", "end", NULL};
	uint64_t at_ns;

	if (!text) {
		build->at = VMT_AT_DEFAULT;
		return 0;
	}
	if (strcmp(text, "peak") == 0) {
		build->at = VMT_AT_PEAK;
		return 0;
	}
	if (strcmp(text, "end") == 0) {
		build->at = VMT_AT_END;
		return 0;
	}
	if (read_clock(text, &build->at_time_ns)) {
		build->at = VMT_AT_CLOCK;
		return 0;
	}
	if (vmt_units_parse_duration(text, &at_ns) < 0)
		return vmt_suggest_value(
		    text, strlen(text), moments,
		    vmt_err_set(err, EINVAL,
				"%s: '%s' is not peak, end, a time since the start like 1.5s, "
				"or a time of day like 12:45:13",
				option, text),
		    err);
	build->at = VMT_AT_TIME;
	build->at_time_ns = (int64_t)at_ns;
	return 0;
}

int
vmt_report_args_patterns(const char *const values[4], struct vmt_selection_patterns *patterns,
			 struct vmt_err *err)
{
	struct vmt_name_pattern **const made[] = {&patterns->focus, &patterns->ignore,
						  &patterns->hide, &patterns->match};
	static const char *const names[] = {"--focus", "--ignore", "--hide", "--match"};

	for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++) {
		if (!values[i])
			continue;
		*made[i] =
		    vmt_name_pattern_new(names[i], values[i], made[i] == &patterns->match, err);
		if (!*made[i])
			return -EINVAL;
	}
	return 0;
}

bool
vmt_report_args_has_patterns(const struct vmt_selection_patterns *patterns)
{
	return patterns->hide || vmt_selection_is_partial(patterns);
}

void
vmt_report_args_patterns_free(struct vmt_selection_patterns *patterns)
{
	vmt_name_pattern_free(patterns->focus);
	vmt_name_pattern_free(patterns->ignore);
	vmt_name_pattern_free(patterns->hide);
	vmt_name_pattern_free(patterns->match);
	*patterns = (struct vmt_selection_patterns){.callers = patterns->callers};
}

int
vmt_report_args_sysroot(const char *text, const char **sysroot, struct vmt_err *err)
{
	struct stat status;

	*sysroot = text;
	if (!text)
		return 0;
	if (stat(text, &status) < 0)
		return vmt_err_set(err, EINVAL, "--sysroot: %s: %s", text, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return vmt_err_set(err, EINVAL, "--sysroot: %s is not a directory", text);
	return 0;
}

int
vmt_report_args_count(const char *option, const char *text, size_t *count, struct vmt_err *err)
{
	unsigned long rows;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	rows = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		return vmt_err_set(err, EINVAL, "%s: '%s' is not a number", option, text);
	*count = rows;
	return 0;
}
