#include "tools/page/report_page.h"

#include "tools/page/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SITES 500u /* a file that is too large with so few is written as it is */
#define FOLDED_DEPTH 4u	 /* at first; each further try keeps one caller fewer of what is folded */

static int
write_data(void *argument, FILE *json, struct vmt_err *err)
{
	return vmt_view_data_write(argument, json, err);
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The page in memory, to be freed. 0, or a negative errno with a message. */
static int
make_page(struct vmt_view_data *data, char **text, size_t *bytes, struct vmt_err *err)
{
	const struct vmt_report *report = data->reports[data->diff ? 1 : 0];
	char title[256];
	FILE *page = open_memstream(text, bytes);
	int result;

	if (!page)
		return vmt_err_set(err, ENOMEM, "not enough memory for the HTML report");
	snprintf(title, sizeof(title), "%.200s: vmtrace %s",
		 base_name(report->process.exe ? report->process.exe : "process"),
		 data->diff ? "comparison" : "report");
	result = vmt_html_write(page, title, write_data, data, err);
	if (fclose(page) != 0 && result == 0)
		result = vmt_err_set(err, ENOMEM, "not enough memory for the HTML report");
	return result;
}

/* Of the longest list. */
static size_t
most_rows(const struct vmt_report *report)
{
	const size_t counts[] = {report->site_count, report->advice_count, report->lock_count,
				 report->file_count};
	size_t most = 0;

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (counts[i] > most)
			most = counts[i];
	return most;
}

int
vmt_report_page_write(const struct vmt_view_data *data, FILE *out, struct vmt_err *err)
{
	struct vmt_view_data trial = *data;
	size_t most = most_rows(data->reports[0]);
	size_t most_bytes = data->most_bytes ? data->most_bytes : VMT_REPORT_PAGE_MOST_BYTES;

	if (data->diff && most_rows(data->reports[1]) > most)
		most = most_rows(data->reports[1]);
	trial.folded_depth = FOLDED_DEPTH;
	for (trial.most_sites = most;;) {
		char *text = NULL;
		size_t bytes = 0;
		bool is_least, is_last;
		int result;

		trial.most_rows = trial.most_sites;
		result = make_page(&trial, &text, &bytes, err);
		is_least = trial.most_sites < LEAST_SITES && trial.folded_depth == 0;
		is_last = bytes <= most_bytes || is_least;

		if (result == 0 && is_last && fwrite(text, 1, bytes, out) < bytes)
			result =
			    vmt_err_set(err, errno, "can't write the page: %s", strerror(errno));
		free(text);
		if (result < 0 || is_last)
			return result;
		/* Somewhat fewer than would fit if all were of one length: each try costs. */
		trial.most_sites =
		    (size_t)((double)trial.most_sites * 0.7 * (double)most_bytes / (double)bytes);
		if (trial.folded_depth > 0)
			trial.folded_depth--;
	}
}
