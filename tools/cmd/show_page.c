#include "tools/cmd/show_page.h"

#include "tools/cmd/output.h"
#include "tools/cmd/progress.h"
#include "tools/cmd/report_formats.h"
#include "tools/memory_limit.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRACE_SUFFIX ".vmt"

char *
vmt_show_page_name(const char *trace, char *result, size_t result_bytes)
{
	size_t length = strlen(trace);
	size_t suffix = strlen(TRACE_SUFFIX);

	if (length > suffix && strcmp(trace + length - suffix, TRACE_SUFFIX) == 0)
		length -= suffix;
	snprintf(result, result_bytes, "%.*s.html", (int)length, trace);
	return result;
}

static int
write_page(const char *trace, const char *page, struct vmt_err *err)
{
	const struct vmt_report_format *format = vmt_report_formats_find("html", err);
	const char *inputs[] = {trace, NULL};
	struct vmt_report_options build = {.symbols = true, .history = true};
	struct vmt_report_view view = {.path = trace};
	struct vmt_report *report = NULL;
	struct vmt_output output;
	int result = format ? vmt_output_open(&output, page, false, false, inputs, err) : -EINVAL;

	if (result < 0)
		return result;
	vmt_memory_limit_set_machine();
	result = vmt_progress_build(&report, trace, &build, err);
	if (result == 0)
		result = format->write(report, &view, output.file, err);
	vmt_report_free(report);
	return vmt_output_close(&output, result, err);
}

/* The first command of $BROWSER, which may have more after colons; "xdg-open" where it has none. */
static const char *
find_browser(char *text, size_t text_bytes)
{
	const char *wanted = getenv("BROWSER");
	size_t length = wanted ? strcspn(wanted, ":") : 0;

	if (length == 0)
		return "xdg-open";
	snprintf(text, text_bytes, "%.*s", (int)length, wanted);
	return text;
}

static bool
is_set(const char *variable)
{
	const char *value = getenv(variable);

	return value && *value;
}

/* In a session of its own: neither the end of the terminal nor an interrupt from it ends the
 * browser. 0 or a number of errno. */
static int
spawn_alone(const char *browser, char *const argv[], char *const environment[])
{
	posix_spawnattr_t attributes;
	pid_t pid;
	int code = posix_spawnattr_init(&attributes);

	if (code)
		return code;
	code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	if (!code)
		code = posix_spawnp(&pid, browser, NULL, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	return code;
}

static int
start_browser(const char *page, char *const environment[], struct vmt_err *err)
{
	char text[PATH_MAX];
	const char *browser = find_browser(text, sizeof(text));
	char *const argv[] = {(char *)(uintptr_t)browser, (char *)(uintptr_t)page, NULL};
	int code;

	if (!is_set("BROWSER") && !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY"))
		return vmt_err_set(err, ENXIO,
				   "--open: there is no display, and no BROWSER; the page is %s",
				   page);
	code = spawn_alone(browser, argv, environment);
	if (code)
		return vmt_err_set(err, code, "--open: can't start %s: %s; the page is %s", browser,
				   strerror(code), page);
	return 0;
}

int
vmt_show_page_open(const char *trace, char *const environment[], struct vmt_err *err)
{
	char page[PATH_MAX];
	int result;

	if (!isatty(STDERR_FILENO))
		return vmt_err_set(err, ENOTTY,
				   "--open: not on a terminal, so no page was written or opened");
	result = write_page(trace, vmt_show_page_name(trace, page, sizeof(page)), err);
	return result < 0 ? result : start_browser(page, environment, err);
}
