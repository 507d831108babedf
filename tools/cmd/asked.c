#include "tools/cmd/asked.h"

#include "tools/out/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
vmt_asked_at(const char *text, struct vmt_report_options *build, struct vmt_err *err)
{
	uint64_t at_ns;

	if (!text || strcmp(text, "peak") == 0) {
		build->at = VMT_AT_PEAK;
		return 0;
	}
	if (strcmp(text, "end") == 0) {
		build->at = VMT_AT_END;
		return 0;
	}
	if (vmt_units_parse_duration(text, &at_ns) < 0)
		return vmt_err_set(err, EINVAL, "--at: '%s' is not peak, end or a time like 1.5s",
				   text);
	build->at = VMT_AT_TIME;
	build->at_time_ns = (int64_t)at_ns;
	return 0;
}

int
vmt_asked_top(const char *text, size_t *top, struct vmt_err *err)
{
	unsigned long rows;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	rows = strtoul(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		return vmt_err_set(err, EINVAL, "--top: '%s' is not a number", text);
	*top = rows;
	return 0;
}
