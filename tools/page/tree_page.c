#include "tools/page/tree_page.h"

#include "tools/page/html.h"
#include "tools/page/report_page.h"
#include "tools/render/tree_json.h"
#include "tools/render/tree_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Trees that have a section of their own. */
#define MOST_TREES 24u
#define LEAST_ROWS 100u /* a file that is too large with so few is written as it is */

static void
emit_line(struct vmt_emitter *emitter, const struct vmt_tree *tree,
	  const struct vmt_tree_family *family)
{
	int64_t start_ns = tree->processes[family->root].start_ns;

	vmt_emitter_object(emitter, "line");
	vmt_emitter_array(emitter, "time_ns");
	for (size_t i = 0; i < family->line_count; i++)
		vmt_emitter_i64(emitter, NULL, family->line[i].time_ns - start_ns);
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "rss_bytes");
	for (size_t i = 0; i < family->line_count; i++)
		vmt_emitter_u64(emitter, NULL, family->line[i].rss_bytes);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
emit_tree(struct vmt_emitter *emitter, const struct vmt_tree *tree, size_t number)
{
	const struct vmt_tree_family *family = &tree->families[number];
	const struct vmt_tree_process *root = &tree->processes[family->root];
	char text[2048];

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_u64(emitter, "number", number);
	snprintf(text, sizeof(text), "Tree of %.1000s (process %u), %zu traces", root->title,
		 root->pid, family->traces);
	vmt_emitter_string(emitter, "title", text);
	vmt_emitter_string(emitter, "sum", vmt_tree_text_sum(tree, family, text, sizeof(text)));
	emit_line(emitter, tree, family);
	vmt_emitter_object_end(emitter);
}

static void
emit_trees(struct vmt_emitter *emitter, const struct vmt_tree *tree)
{
	size_t shown = 0;

	vmt_emitter_array(emitter, "trees");
	for (size_t i = 0; i < tree->family_count; i++)
		if (tree->families[i].traces > 1 && shown++ < MOST_TREES)
			emit_tree(emitter, tree, i);
	vmt_emitter_array_end(emitter);
	vmt_emitter_u64(emitter, "more_trees", shown > MOST_TREES ? shown - MOST_TREES : 0);
}

static int
write_data(void *argument, FILE *json, struct vmt_err *err)
{
	const struct vmt_tree_page *page = argument;
	size_t count = page->tree->count;
	struct vmt_emitter emitter;
	char text[2048];

	vmt_emitter_begin(&emitter, json, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_string(&emitter, "format", "vmtrace-tree/1");
	vmt_emitter_string(&emitter, "vmtrace", page->version);
	vmt_emitter_u64(&emitter, "left_out",
			count > page->most_rows ? count - page->most_rows : 0);
	vmt_emitter_array(&emitter, "losses");
	for (enum vmt_tree_loss i = 0; i < VMT_TREE_LOSSES; i++)
		if (vmt_tree_text_loss(page->tree, i, text, sizeof(text)))
			vmt_emitter_string(&emitter, NULL, text);
	vmt_emitter_array_end(&emitter);
	emit_trees(&emitter, page->tree);
	vmt_tree_json_emit(page->tree, page->where, page->most_rows, "list", &emitter);
	vmt_emitter_object_end(&emitter);
	return vmt_emitter_finish(&emitter, err);
}

/* The page in memory, to be freed. 0, or a negative errno with a message. */
static int
make_page(struct vmt_tree_page *page, char **text, size_t *bytes, struct vmt_err *err)
{
	char title[256];
	FILE *file = open_memstream(text, bytes);
	int result;

	if (!file)
		return vmt_err_set(err, ENOMEM, "not enough memory for the HTML report");
	snprintf(title, sizeof(title), "%.200s: vmtrace report",
		 page->where ? page->where : "traces");
	result = vmt_html_write(file, title, write_data, page, err);
	if (fclose(file) != 0 && result == 0)
		result = vmt_err_set(err, ENOMEM, "not enough memory for the HTML report");
	return result;
}

int
vmt_tree_page_write(const struct vmt_tree_page *page, FILE *out, struct vmt_err *err)
{
	struct vmt_tree_page trial = *page;

	if (trial.most_rows > page->tree->count)
		trial.most_rows = page->tree->count;
	for (;;) {
		char *text = NULL;
		size_t bytes = 0;
		int result = make_page(&trial, &text, &bytes, err);
		bool is_last = bytes <= VMT_REPORT_PAGE_MOST_BYTES || trial.most_rows <= LEAST_ROWS;

		if (result == 0 && is_last && fwrite(text, 1, bytes, out) < bytes)
			result =
			    vmt_err_set(err, errno, "can't write the page: %s", strerror(errno));
		free(text);
		if (result < 0 || is_last)
			return result;
		trial.most_rows = (size_t)((double)trial.most_rows * 0.8 *
					   VMT_REPORT_PAGE_MOST_BYTES / (double)bytes);
	}
}
