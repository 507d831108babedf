#include "tools/cmd/trace_list.h"

#include "format/chunk.h"
#include "tools/cmd/record_summary.h"
#include "tools/cmd/terminal.h"
#include "tools/read/trace/trace.h"
#include "tools/render/emitter.h"
#include "tools/render/units.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct listed {
	char *name; /* within the directory */
	char *command;
	const char *end;
	uint64_t peak_rss_bytes; /* 0 = never read */
	uint32_t pid;
};

struct listing {
	struct listed *all;
	size_t count;
	size_t room;
	size_t most;
	size_t unreadable;
	size_t passed_over; /* beyond the most */
};

bool
vmt_trace_list_is_for(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool
is_named_as_trace(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 4 && strcmp(name + length - 4, ".vmt") == 0;
}

/* The bytes of the last title of a trace, until the next payload of it; false where it has none. */
static bool
find_title(struct vmt_trace *trace, const void **bytes, size_t *length)
{
	const struct vmt_trace_chunk *last = NULL;
	const unsigned char *payload;
	struct vmt_err err = {""};
	size_t count;
	const struct vmt_trace_chunk *chunks = vmt_trace_chunks(trace, &count);

	for (size_t i = 0; i < count; i++)
		if (chunks[i].header.kind == VMT_CHUNK_TITLE)
			last = &chunks[i];
	if (!last || vmt_trace_payload(trace, last, &payload, length, &err) < 0)
		return false;
	if (*length > VMT_CMDLINE_BYTES)
		*length = VMT_CMDLINE_BYTES;
	*bytes = payload;
	return *length > 0;
}

/* What it called itself last, or its command line, or its program. To be freed. */
static char *
command_of(struct vmt_trace *trace)
{
	const struct vmt_head *head = vmt_trace_head(trace);
	const void *bytes;
	size_t length;
	char *text;

	if (!find_title(trace, &bytes, &length)) {
		bytes = head->cmdline_bytes ? head->cmdline : head->exe;
		length =
		    head->cmdline_bytes ? head->cmdline_bytes : strnlen(head->exe, VMT_EXE_BYTES);
	}
	text = calloc(1, length + 1);
	if (!text)
		return NULL;
	memcpy(text, bytes, length);
	while (length > 0 && (text[length - 1] == '\0' || text[length - 1] == ' '))
		text[--length] = '\0';
	for (size_t i = 0; i < length; i++)
		if (!text[i])
			text[i] = ' ';
	return text;
}

static void
add_trace(struct listing *listing, const char *path, const char *name)
{
	struct listed *listed = &listing->all[listing->count];
	struct vmt_trace *trace;
	struct vmt_err err = {""};
	int status;

	if (vmt_trace_open(&trace, path, &err) < 0) {
		listing->unreadable++;
		return;
	}
	*listed = (struct listed){.name = strdup(name),
				  .command = command_of(trace),
				  .end = vmt_trace_end(trace, &status),
				  .peak_rss_bytes = vmt_record_summary_peak(trace),
				  .pid = vmt_trace_head(trace)->pid};
	vmt_trace_close(trace);
	if (listed->name && listed->command) {
		listing->count++;
		return;
	}
	free(listed->name);
	free(listed->command);
}

static bool
has_room(struct listing *listing)
{
	size_t room = listing->room ? listing->room * 2 : 64;
	struct listed *all;

	if (listing->count >= listing->most)
		return false;
	if (listing->count < listing->room)
		return true;
	all = realloc(listing->all, room * sizeof(*all));
	if (!all)
		return false;
	listing->all = all;
	listing->room = room;
	return true;
}

static int
read_directory(struct listing *listing, const char *directory, struct vmt_err *err)
{
	DIR *open = opendir(directory);
	const struct dirent *entry;
	char path[4096];

	if (!open)
		return vmt_err_set(err, errno, "%s: %s", directory, strerror(errno));
	while ((entry = readdir(open)) != NULL) {
		int length = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);

		if (!is_named_as_trace(entry->d_name) || length <= 0 ||
		    (size_t)length >= sizeof(path))
			continue;
		if (has_room(listing))
			add_trace(listing, path, entry->d_name);
		else
			listing->passed_over++;
	}
	closedir(open);
	return 0;
}

/* Largest first; equals by name. */
static int
compare(const void *left, const void *right)
{
	const struct listed *a = left;
	const struct listed *b = right;

	if (a->peak_rss_bytes != b->peak_rss_bytes)
		return a->peak_rss_bytes < b->peak_rss_bytes ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void
print_text(const struct listing *listing, const char *directory, size_t shown)
{
	struct vmt_layout layout = vmt_terminal_layout(stdout);
	char peak[VMT_UNITS_BYTES];

	vmt_layout_line(&layout, VMT_STYLE_TITLE, "%zu trace%s in %s, by the largest RSS seen%s",
			listing->count, listing->count == 1 ? "" : "s", directory,
			shown < listing->count ? ", the first of them" : "");
	for (size_t i = 0; i < shown; i++) {
		const struct listed *listed = &listing->all[i];

		vmt_layout_line(&layout, VMT_STYLE_PLAIN, "  %10s  %-8s %s  %s",
				listed->peak_rss_bytes
				    ? vmt_units_bytes(peak, listed->peak_rss_bytes)
				    : "unknown",
				listed->end, listed->name, listed->command);
	}
	if (listing->unreadable)
		vmt_layout_line(&layout, VMT_STYLE_ALARM,
				"  and %zu unreadable: vmtrace report FILE says why",
				listing->unreadable);
	if (listing->passed_over)
		vmt_layout_line(&layout, VMT_STYLE_ALARM,
				"  and %zu that were not looked at: a list has no more",
				listing->passed_over);
}

static int
print_json(const struct listing *listing, const char *directory, size_t shown, struct vmt_err *err)
{
	struct vmt_emitter emitter;

	vmt_emitter_begin(&emitter, stdout, VMT_EMITTER_JSON);
	vmt_emitter_object(&emitter, NULL);
	vmt_emitter_string(&emitter, "schema", "vmtrace-list/1");
	vmt_emitter_string(&emitter, "directory", directory);
	vmt_emitter_u64(&emitter, "unreadable", listing->unreadable);
	vmt_emitter_u64(&emitter, "passed_over", listing->passed_over);
	vmt_emitter_array(&emitter, "traces");
	for (size_t i = 0; i < shown; i++) {
		const struct listed *listed = &listing->all[i];

		vmt_emitter_object(&emitter, NULL);
		vmt_emitter_string(&emitter, "name", listed->name);
		vmt_emitter_u64(&emitter, "pid", listed->pid);
		vmt_emitter_string(&emitter, "command", listed->command);
		if (listed->peak_rss_bytes)
			vmt_emitter_u64(&emitter, "peak_rss_bytes", listed->peak_rss_bytes);
		else
			vmt_emitter_string(&emitter, "peak_rss_bytes", NULL);
		vmt_emitter_string(&emitter, "end", listed->end);
		vmt_emitter_object_end(&emitter);
	}
	vmt_emitter_array_end(&emitter);
	vmt_emitter_object_end(&emitter);
	return vmt_emitter_finish(&emitter, err);
}

int
vmt_trace_list_print(const char *directory, size_t most, size_t top, bool json, struct vmt_err *err)
{
	struct listing listing = {.most = most};
	int result = read_directory(&listing, directory, err);
	size_t shown = listing.count < top ? listing.count : top;

	if (result == 0 && listing.count == 0 && listing.unreadable)
		result = vmt_err_set(err, EIO,
				     "%s: none of its traces (*.vmt) can be read; vmtrace report "
				     "FILE says why",
				     directory);
	else if (result == 0 && listing.count == 0)
		result = vmt_err_set(err, ENOENT, "%s: is a directory without a trace (*.vmt)",
				     directory);
	if (listing.count)
		qsort(listing.all, listing.count, sizeof(*listing.all), compare);
	if (result == 0 && json)
		result = print_json(&listing, directory, shown, err);
	else if (result == 0)
		print_text(&listing, directory, shown);
	for (size_t i = 0; i < listing.count; i++) {
		free(listing.all[i].name);
		free(listing.all[i].command);
	}
	free(listing.all);
	return result;
}
