#include "tools/cmd/record_tree.h"

#include "tools/model/tree/tree_build.h"
#include "tools/render/tree_text.h"

#include <stdlib.h>
#include <string.h>

/* The directory of all traces; false where they lie in several. */
static bool
find_directory(const struct vmt_record_summary *recorded, char *directory, size_t bytes)
{
	const char *first = recorded->paths[0];
	const char *slash = strrchr(first, '/');
	size_t length = slash ? (size_t)(slash - first) : 0;

	if (length >= bytes)
		return false;
	for (uint32_t i = 0; i < recorded->kept; i++) {
		const char *path = recorded->paths[i];
		const char *last = strrchr(path, '/');

		if ((last ? (size_t)(last - path) : 0) != length ||
		    strncmp(path, first, length) != 0 || !last != !slash)
			return false;
	}
	snprintf(directory, bytes, "%.*s%s", (int)length, first,
		 length == 0 ? (slash ? "/" : ".") : "");
	return true;
}

/* What has no trace is no matter where it is a small part. */
#define UNTRACED_PART 20u

static bool
has_much_untraced(const struct vmt_tree_family *family)
{
	return family->untraced.private_bytes > family->moment_rss_bytes / UNTRACED_PART;
}

static void
print(const struct vmt_tree *tree, const struct vmt_record_summary *recorded, FILE *out)
{
	const struct vmt_tree_family *family = &tree->families[0];
	char directory[4096];
	char text[1024];

	for (size_t i = 1; i < tree->family_count; i++)
		if (tree->families[i].moment_rss_bytes > family->moment_rss_bytes)
			family = &tree->families[i];
	if (family->there - family->unread < 2 && !has_much_untraced(family))
		return;
	fprintf(out, "vmtrace: %s\n", vmt_tree_text_sum(tree, family, text, sizeof(text)));
	if (recorded->kept < 2 || !find_directory(recorded, directory, sizeof(directory)))
		return;
	fprintf(out, "vmtrace: all of them: vmtrace report ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(directory), out);
	fprintf(out, "\nvmtrace: all of them as a page: vmtrace report ");
	vmt_record_summary_print_word(vmt_record_summary_short_path(directory), out);
	fprintf(out, " --format html -o tree.html\n");
}

void
vmt_record_tree_print(const struct vmt_record_summary *recorded, FILE *out)
{
	struct vmt_tree_options options = {.group_by = VMT_TREE_BY_TITLE};
	struct vmt_tree_file *files;
	struct vmt_tree *tree = NULL;
	struct vmt_err err = {""};

	files = calloc(recorded->kept, sizeof(*files));
	for (uint32_t i = 0; files && i < recorded->kept; i++)
		files[i] = (struct vmt_tree_file){recorded->paths[i], recorded->paths[i]};
	if (files && vmt_tree_build(&tree, files, recorded->kept, &options, &err) == 0)
		print(tree, recorded, out);
	vmt_tree_free(tree);
	free(files);
}
