#include "tools/cmd/report_formats.h"

#include "tools/cmd/exec_traces.h"
#include "tools/cmd/options.h"
#include "tools/cmd/terminal.h"
#include "tools/cmd/version.h"
#include "tools/export/folded.h"
#include "tools/export/openmetrics.h"
#include "tools/export/perfetto.h"
#include "tools/export/pprof.h"
#include "tools/export/speedscope.h"
#include "tools/page/report_page.h"
#include "tools/render/json.h"
#include "tools/render/text_report.h"

#include <stdint.h>
#include <string.h>

static int
write_text(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
	   struct vmt_err *err)
{
	struct vmt_exec_traces images = {.next = ""};
	struct vmt_text_options text = {.layout = vmt_terminal_paged(out),
					.rank = view->rank,
					.top = view->top,
					.callers = view->callers,
					.by = view->by,
					.tree = view->tree,
					.selection = view->selection};

	(void)err;
	if (strcmp(report->process.end, "exec") == 0)
		vmt_exec_traces_find(&images, view->path, report->process.pid);
	text.next_image = images.next;
	text.last_image = images.last;
	vmt_text_report_print(report, &text);
	return 0;
}

static int
write_json(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
	   struct vmt_err *err)
{
	struct vmt_json_options json = {
	    .rank = view->rank, .top = view->top, .by = view->by, .selection = view->selection};

	return vmt_json_print(report, &json, out, err);
}

static int
write_pprof(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
	    struct vmt_err *err)
{
	(void)view;
	return vmt_pprof_write(report, out, err);
}

static int
write_folded(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
	     struct vmt_err *err)
{
	return vmt_folded_write(report, view->metric, out, err);
}

static int
write_speedscope(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
		 struct vmt_err *err)
{
	return vmt_speedscope_write(report, view->metric, out, err);
}

static int
write_html(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
	   struct vmt_err *err)
{
	struct vmt_view_data data = {
	    .reports = {report}, .paths = {view->path}, .version = VMT_VERSION_TEXT};

	return vmt_report_page_write(&data, out, err);
}

static int
write_perfetto(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
	       struct vmt_err *err)
{
	(void)view;
	return vmt_perfetto_write(report, out, err);
}

static int
write_openmetrics(const struct vmt_report *report, const struct vmt_report_view *view, FILE *out,
		  struct vmt_err *err)
{
	(void)view;
	return vmt_openmetrics_write(report, out, err);
}

const struct vmt_report_format vmt_report_formats[] = {
    {.name = "text", .write = write_text, .top = VMT_TEXT_DEFAULT_TOP, .has_rows = true},
    {.name = "json", .write = write_json, .top = SIZE_MAX, .has_rows = true, .history = true},
    {.name = "html", .write = write_html, .is_binary = true, .history = true},
    {.name = "pprof", .write = write_pprof, .is_binary = true},
    {.name = "folded", .write = write_folded, .has_metric = true, .lacks_losses = true},
    {.name = "speedscope", .write = write_speedscope, .has_metric = true, .lacks_losses = true},
    {.name = "perfetto", .write = write_perfetto, .is_binary = true, .history = true},
    {.name = "openmetrics", .write = write_openmetrics},
    {0},
};

#define FORMATS (sizeof(vmt_report_formats) / sizeof(*vmt_report_formats))

const struct vmt_report_format *
vmt_report_formats_find(const char *name, struct vmt_err *err)
{
	const char *names[FORMATS];
	int found;

	for (size_t i = 0; i < FORMATS; i++)
		names[i] = vmt_report_formats[i].name;
	found = name ? vmt_options_choose("--format", name, names, err) : 0;
	return found < 0 ? NULL : &vmt_report_formats[found];
}
