#include "tools/render/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Digits after the point that leave three figures in all, and none on a whole number. */
static void
write_three(char text[VMT_UNITS_BYTES], double value, const char *unit)
{
	int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
	char number[VMT_UNITS_BYTES];
	int length = snprintf(number, sizeof(number), "%.*f", digits, value);

	if (strchr(number, '.')) {
		while (number[length - 1] == '0')
			length--;
		if (number[length - 1] == '.')
			length--;
	}
	snprintf(text, VMT_UNITS_BYTES, "%.*s %s", length, number, unit);
}

const char *
vmt_units_bytes(char text[VMT_UNITS_BYTES], uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	/* 1023.5 would be written as 1024: the next unit begins there. */
	while (value >= 1023.5 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1024;
		unit++;
	}
	write_three(text, value, units[unit]);
	return text;
}

const char *
vmt_units_duration(char text[VMT_UNITS_BYTES], uint64_t duration_ns)
{
	uint64_t seconds = (duration_ns + NS_PER_S / 2) / NS_PER_S;

	if (duration_ns < NS_PER_US)
		snprintf(text, VMT_UNITS_BYTES, "%" PRIu64 " ns", duration_ns);
	else if (duration_ns < NS_PER_MS)
		write_three(text, (double)duration_ns / NS_PER_US, "µs");
	else if (duration_ns < NS_PER_S)
		write_three(text, (double)duration_ns / NS_PER_MS, "ms");
	else if (seconds < 60)
		write_three(text, (double)duration_ns / NS_PER_S, "s");
	else if (seconds < 3600)
		snprintf(text, VMT_UNITS_BYTES, "%" PRIu64 " min %02" PRIu64 " s", seconds / 60,
			 seconds % 60);
	else
		snprintf(text, VMT_UNITS_BYTES, "%" PRIu64 " h %02" PRIu64 " min", seconds / 3600,
			 seconds % 3600 / 60);
	return text;
}

const char *
vmt_units_count(char text[VMT_UNITS_BYTES], uint64_t count)
{
	char digits[VMT_UNITS_BYTES];
	size_t length;
	size_t used = 0;

	/* 16 digits with their commas fit; beyond, plain digits do. */
	snprintf(digits, sizeof(digits), "%" PRIu64, count);
	length = strlen(digits);
	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0 && length <= 16)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

const char *
vmt_units_ratio(char text[VMT_UNITS_RATIO_BYTES], uint64_t part, uint64_t whole)
{
	if (whole == 0)
		snprintf(text, VMT_UNITS_RATIO_BYTES, "-");
	else if (part > 0 && part < whole / 200)
		snprintf(text, VMT_UNITS_RATIO_BYTES, "<1 %%");
	else
		snprintf(text, VMT_UNITS_RATIO_BYTES, "%.0f %%",
			 100.0 * (double)part / (double)whole);
	return text;
}

struct scale {
	const char *unit;
	double factor;
};

/* number [space] unit, the unit out of a list that ends with NULL. */
static int
parse_scaled(const char *text, const struct scale *scales, uint64_t *result)
{
	char *end;
	double value;

	if (!isdigit((unsigned char)*text) || text[1] == 'x' || text[1] == 'X')
		return -EINVAL;
	errno = 0;
	value = strtod(text, &end);
	if (errno)
		return -ERANGE;
	if (*end == ' ')
		end++;
	for (; scales->unit; scales++)
		if (strcasecmp(end, scales->unit) == 0)
			break;
	if (!scales->unit)
		return -EINVAL;
	value *= scales->factor;
	/* 2^63: far above any figure that makes sense, far below what a double can overflow. */
	if (!(value < 9223372036854775808.0))
		return -ERANGE;
	*result = (uint64_t)(value + 0.5);
	return 0;
}

int
vmt_units_parse_bytes(const char *text, uint64_t *bytes)
{
	static const struct scale scales[] = {
	    {"", 1},
	    {"B", 1},
	    {"K", 1024.0},
	    {"KB", 1024.0},
	    {"KiB", 1024.0},
	    {"M", 1048576.0},
	    {"MB", 1048576.0},
	    {"MiB", 1048576.0},
	    {"G", 1073741824.0},
	    {"GB", 1073741824.0},
	    {"GiB", 1073741824.0},
	    {"T", 1099511627776.0},
	    {"TB", 1099511627776.0},
	    {"TiB", 1099511627776.0},
	    {NULL, 0},
	};

	return parse_scaled(text, scales, bytes);
}

int
vmt_units_parse_duration(const char *text, uint64_t *duration_ns)
{
	static const struct scale scales[] = {
	    {"", 1e9}, {"s", 1e9},  {"ms", 1e6},   {"us", 1e3},	  {"µs", 1e3}, {"μs", 1e3},
	    {"ns", 1}, {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}, {NULL, 0},
	};

	return parse_scaled(text, scales, duration_ns);
}
