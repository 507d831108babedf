/*
 * Over 500 lines: all parts write to the one profile and number what they name by its tables.
 */
#include "tools/export/pprof.h"

#include "tools/export/clean_text.h"
#include "tools/export/gzip.h"
#include "tools/export/profile.h"
#include "tools/export/protobuf.h"
#include "tools/hash_table.h"
#include "tools/render/frame_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Field numbers of profile.proto. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_TIME_NS = 9,
	PROFILE_DURATION_NS = 10,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_SAMPLE_TYPE = 14,
};
enum { VALUE_TYPE = 1, VALUE_UNIT = 2 };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_TEXT = 2 };
enum {
	MAPPING_ID = 1,
	MAPPING_START = 2,
	MAPPING_LIMIT = 3,
	MAPPING_FILE = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_FILES = 8,
	MAPPING_HAS_LINES = 9,
	MAPPING_HAS_INLINED = 10,
};
enum { LOCATION_ID = 1, LOCATION_MAPPING = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILE = 4 };

/* What has a number in the file, found by bytes of its key. Keys have no padding. */
struct numbered {
	UT_hash_handle hh;
	uint64_t number;
	unsigned char key[];
};

struct numbering {
	struct numbered *all;
	uint64_t given; /* numbers, also to what is forgotten */
};

struct mapping_key {
	const char *path; /* equal paths of a report are one string */
	uint64_t bias;
};

struct function_key {
	uint64_t name; /* numbers of strings */
	uint64_t file;
};

struct location_key {
	struct mapping_key mapping;
	uint64_t address;
	const char *function; /* code that is made while a program runs may give way to other */
	uint64_t line;
};

/* The file under construction; the parts stand one after another in it. */
struct pprof {
	const struct vmt_report *report; /* the one in hand */
	struct numbering strings;
	struct numbering mappings; /* of the report in hand: their keys point into it */
	struct numbering functions;
	struct numbering locations; /* likewise */
	enum vmt_metric shown_first;
	struct vmt_protobuf head;
	struct vmt_protobuf samples;
	struct vmt_protobuf tables; /* mappings, locations and functions */
	struct vmt_protobuf texts;
	struct vmt_protobuf inner; /* the message in hand, and one in it */
	struct vmt_protobuf innermost;
	struct vmt_protobuf labels; /* that every sample of the report in hand has */
	uint64_t *stack;	    /* locations of the sample in hand */
	size_t stack_room;
	bool failed;
};

/* The item of a key; *is_new where it was not there, and its number is the next. */
static uint64_t
number_of(struct pprof *pprof, struct numbering *table, const void *key, size_t bytes, bool *is_new)
{
	struct numbered *found;

	HASH_FIND(hh, table->all, key, bytes, found);
	*is_new = found == NULL;
	if (found)
		return found->number;
	found = calloc(1, sizeof(*found) + bytes);
	if (found) {
		memcpy(found->key, key, bytes);
		HASH_ADD_KEYPTR(hh, table->all, found->key, bytes, found);
	}
	if (found && found->hh.tbl)
		return found->number = ++table->given;
	free(found);
	pprof->failed = true;
	return 0;
}

/* Its index in the table of strings, where "" is 0. */
static uint64_t
text_of(struct pprof *pprof, const char *text)
{
	char clean[VMT_CLEAN_TEXT_BYTES];
	bool is_new;
	uint64_t number;

	vmt_clean_text_copy(clean, text, "");
	number = number_of(pprof, &pprof->strings, clean, strlen(clean) + 1, &is_new);
	if (is_new)
		vmt_protobuf_string(&pprof->texts, PROFILE_STRING, clean);
	return number ? number - 1 : 0;
}

static const struct vmt_loaded_file *
find_loaded(const struct vmt_report *report, const struct mapping_key *key)
{
	for (size_t i = 0; i < report->loaded_count; i++)
		if (report->loaded[i].bias == key->bias &&
		    strcmp(report->loaded[i].path, key->path) == 0)
			return &report->loaded[i];
	return NULL;
}

static uint64_t
mapping_of(struct pprof *pprof, const struct mapping_key *key)
{
	bool is_new;
	uint64_t id = number_of(pprof, &pprof->mappings, key, sizeof(*key), &is_new);
	const struct vmt_loaded_file *loaded;

	if (!is_new)
		return id;
	loaded = find_loaded(pprof->report, key);
	vmt_protobuf_varint(&pprof->inner, MAPPING_ID, id);
	if (loaded) {
		vmt_protobuf_varint(&pprof->inner, MAPPING_START, loaded->low);
		vmt_protobuf_varint(&pprof->inner, MAPPING_LIMIT, loaded->high);
		vmt_protobuf_varint(&pprof->inner, MAPPING_BUILD_ID,
				    text_of(pprof, loaded->build_id));
	}
	vmt_protobuf_varint(&pprof->inner, MAPPING_FILE, text_of(pprof, key->path));
	vmt_protobuf_varint(&pprof->inner, MAPPING_HAS_FUNCTIONS, true);
	vmt_protobuf_varint(&pprof->inner, MAPPING_HAS_FILES, true);
	vmt_protobuf_varint(&pprof->inner, MAPPING_HAS_LINES, true);
	vmt_protobuf_varint(&pprof->inner, MAPPING_HAS_INLINED, true);
	vmt_protobuf_message(&pprof->tables, PROFILE_MAPPING, &pprof->inner);
	return id;
}

/* The first mapping of a profile is the main program's, whether a stack is in it or not. */
static void
add_main_program(struct pprof *pprof)
{
	const struct vmt_report *report = pprof->report;
	struct mapping_key key = {.path = report->process.exe ? report->process.exe : ""};

	for (size_t i = 0; i < report->loaded_count; i++)
		if (strcmp(report->loaded[i].path, key.path) == 0) {
			key = (struct mapping_key){report->loaded[i].path, report->loaded[i].bias};
			break;
		}
	mapping_of(pprof, &key);
}

static uint64_t
function_of(struct pprof *pprof, const char *name, const char *file)
{
	const struct function_key key = {text_of(pprof, name), text_of(pprof, file)};
	bool is_new;
	uint64_t id = number_of(pprof, &pprof->functions, &key, sizeof(key), &is_new);

	if (!is_new)
		return id;
	vmt_protobuf_varint(&pprof->innermost, FUNCTION_ID, id);
	vmt_protobuf_varint(&pprof->innermost, FUNCTION_NAME, key.name);
	vmt_protobuf_varint(&pprof->innermost, FUNCTION_SYSTEM_NAME, key.name);
	vmt_protobuf_varint(&pprof->innermost, FUNCTION_FILE, key.file);
	vmt_protobuf_message(&pprof->tables, PROFILE_FUNCTION, &pprof->innermost);
	return id;
}

/* As a line of the location in hand. */
static void
add_line(struct pprof *pprof, const char *name, const char *file, uint32_t line)
{
	uint64_t function = function_of(pprof, name, file);

	vmt_protobuf_varint(&pprof->innermost, LINE_FUNCTION, function);
	vmt_protobuf_varint(&pprof->innermost, LINE_LINE, line);
	vmt_protobuf_message(&pprof->inner, LOCATION_LINE, &pprof->innermost);
}

/* What is no code: a name in brackets. */
static uint64_t
leaf_location(struct pprof *pprof, const char *leaf)
{
	const struct location_key key = {.function = leaf};
	bool is_new;
	uint64_t id = number_of(pprof, &pprof->locations, &key, sizeof(key), &is_new);

	if (!is_new)
		return id;
	vmt_protobuf_varint(&pprof->inner, LOCATION_ID, id);
	add_line(pprof, leaf, "", 0);
	vmt_protobuf_message(&pprof->tables, PROFILE_LOCATION, &pprof->inner);
	return id;
}

/* The frames of one address: those that were inlined there and the one that has the code. */
static size_t
frames_of_address(const struct vmt_stack_frames *stack, size_t first)
{
	size_t count = 1;

	while (first + count < stack->count && stack->frames[first + count - 1].inlined &&
	       stack->frames[first + count].address == stack->frames[first].address)
		count++;
	return count;
}

static void
add_frame_line(struct pprof *pprof, const struct vmt_frame *frame)
{
	char name[VMT_CLEAN_TEXT_BYTES];

	if (frame->function)
		add_line(pprof, frame->function, frame->file, frame->line);
	else
		add_line(pprof, vmt_frame_text_write(frame, name, sizeof(name)), "", 0);
}

static uint64_t
frame_location(struct pprof *pprof, const struct vmt_frame *frames, size_t count)
{
	const struct location_key key = {
	    .mapping = {frames->module,
			frames->module ? frames->address - frames->module_offset : 0},
	    .address = frames->address,
	    .function = frames->function,
	    .line = frames->line};
	bool is_new;
	uint64_t id = number_of(pprof, &pprof->locations, &key, sizeof(key), &is_new);
	uint64_t mapping;

	if (!is_new)
		return id;
	mapping = frames->module ? mapping_of(pprof, &key.mapping) : 0;
	vmt_protobuf_varint(&pprof->inner, LOCATION_ID, id);
	if (mapping)
		vmt_protobuf_varint(&pprof->inner, LOCATION_MAPPING, mapping);
	if (frames->address)
		vmt_protobuf_varint(&pprof->inner, LOCATION_ADDRESS, frames->address - 1);
	for (size_t i = 0; i < count; i++)
		add_frame_line(pprof, &frames[i]);
	vmt_protobuf_message(&pprof->tables, PROFILE_LOCATION, &pprof->inner);
	return id;
}

static bool
make_stack_room(struct pprof *pprof, size_t count)
{
	uint64_t *stack;

	if (count <= pprof->stack_room)
		return true;
	stack = reallocarray(pprof->stack, count, sizeof(*stack));
	if (!stack) {
		pprof->failed = true;
		return false;
	}
	pprof->stack = stack;
	pprof->stack_room = count;
	return true;
}

/* The row's locations, innermost first; returns how many. */
static size_t
find_locations(struct pprof *pprof, const struct vmt_profile_row *row)
{
	size_t frames = row->stack ? row->stack->count : 0;
	size_t count = 0;

	if (!make_stack_room(pprof, frames + 1))
		return 0;
	if (row->leaf)
		pprof->stack[count++] = leaf_location(pprof, row->leaf);
	for (size_t i = 0; i < frames;) {
		size_t inlined = frames_of_address(row->stack, i);

		pprof->stack[count++] = frame_location(pprof, &row->stack->frames[i], inlined);
		i += inlined;
	}
	if (count == 0)
		pprof->stack[count++] = leaf_location(pprof, VMT_PROFILE_NO_STACK);
	return count;
}

static void
add_label(struct pprof *pprof, struct vmt_protobuf *sample, const char *key, const char *text)
{
	vmt_protobuf_varint(&pprof->innermost, LABEL_KEY, text_of(pprof, key));
	vmt_protobuf_varint(&pprof->innermost, LABEL_TEXT, text_of(pprof, text));
	vmt_protobuf_message(sample, SAMPLE_LABEL, &pprof->innermost);
}

static void
add_sample(struct pprof *pprof, const struct vmt_profile_row *row)
{
	size_t locations = find_locations(pprof, row);
	uint64_t values[VMT_METRICS];

	for (int i = 0; i < VMT_METRICS; i++)
		values[i] = row->values[i] < INT64_MAX ? row->values[i] : INT64_MAX;
	vmt_protobuf_packed(&pprof->inner, SAMPLE_LOCATION, pprof->stack, locations);
	vmt_protobuf_packed(&pprof->inner, SAMPLE_VALUE, values, VMT_METRICS);
	add_label(pprof, &pprof->inner, "class", row->class);
	if (*row->kind)
		add_label(pprof, &pprof->inner, "kind", row->kind);
	vmt_protobuf_join(&pprof->inner, &pprof->labels);
	vmt_protobuf_message(&pprof->samples, PROFILE_SAMPLE, &pprof->inner);
}

static void
add_value_type(struct pprof *pprof, uint32_t field, const char *type, const char *unit)
{
	vmt_protobuf_varint(&pprof->inner, VALUE_TYPE, text_of(pprof, type));
	vmt_protobuf_varint(&pprof->inner, VALUE_UNIT, text_of(pprof, unit));
	vmt_protobuf_message(&pprof->head, field, &pprof->inner);
}

static void
add_comment(void *context, const char *line)
{
	struct pprof *pprof = context;

	vmt_protobuf_varint(&pprof->head, PROFILE_COMMENT, text_of(pprof, line));
}

/* What the whole file has, by its first report. */
static void
add_head(struct pprof *pprof)
{
	const struct vmt_report *report = pprof->report;
	uint64_t period = vmt_report_variance_bytes(report);

	text_of(pprof, "");
	for (int i = 0; i < VMT_METRICS; i++)
		add_value_type(pprof, PROFILE_SAMPLE_TYPE, vmt_profile_metric_names[i],
			       vmt_profile_metric_unit((enum vmt_metric)i));
	vmt_protobuf_varint(&pprof->head, PROFILE_DEFAULT_SAMPLE_TYPE,
			    text_of(pprof, vmt_profile_metric_names[pprof->shown_first]));
	vmt_protobuf_varint(&pprof->head, PROFILE_TIME_NS,
			    report->process.start_unix_ns + (uint64_t)report->snapshot.time_ns);
	vmt_protobuf_varint(&pprof->head, PROFILE_DURATION_NS, report->process.duration_ns);
	add_value_type(pprof, PROFILE_PERIOD_TYPE, "space", "bytes");
	vmt_protobuf_varint(&pprof->head, PROFILE_PERIOD, period ? period : 1);
}

static void
forget(struct numbering *table)
{
	VMT_HASH_TABLE_FREE(struct numbered, table->all, free);
	table->all = NULL;
}

static void
add_report(struct pprof *pprof, const struct vmt_report *report, const struct vmt_profile *profile)
{
	char pid[16];

	pprof->report = report;
	forget(&pprof->mappings);
	forget(&pprof->locations);
	if (pprof->strings.given == 0)
		add_head(pprof);
	vmt_profile_comments(report, profile, add_comment, pprof);
	snprintf(pid, sizeof(pid), "%" PRIu32, report->process.pid);
	pprof->labels.length = 0;
	add_label(pprof, &pprof->labels, "exe", report->process.exe);
	add_label(pprof, &pprof->labels, "pid", pid);
	add_main_program(pprof);
	for (size_t i = 0; i < profile->count; i++)
		add_sample(pprof, &profile->rows[i]);
}

static void
close_pprof(struct pprof *pprof)
{
	forget(&pprof->strings);
	forget(&pprof->mappings);
	forget(&pprof->functions);
	forget(&pprof->locations);
	vmt_protobuf_free(&pprof->head);
	vmt_protobuf_free(&pprof->samples);
	vmt_protobuf_free(&pprof->tables);
	vmt_protobuf_free(&pprof->texts);
	vmt_protobuf_free(&pprof->inner);
	vmt_protobuf_free(&pprof->innermost);
	vmt_protobuf_free(&pprof->labels);
	free(pprof->stack);
}

/* The compressed file, or NULL: no memory. */
static unsigned char *
pack(struct pprof *pprof, size_t *bytes)
{
	vmt_protobuf_join(&pprof->head, &pprof->samples);
	vmt_protobuf_join(&pprof->head, &pprof->tables);
	vmt_protobuf_join(&pprof->head, &pprof->texts);
	if (pprof->failed || pprof->head.failed)
		return NULL;
	return vmt_gzip_pack(pprof->head.bytes, pprof->head.length, bytes);
}

static unsigned char *
make_file(const struct vmt_report *report, const struct vmt_profile *profile, size_t *bytes)
{
	struct pprof pprof = {.shown_first = VMT_METRIC_COMMITTED_SPACE};
	unsigned char *packed;

	add_report(&pprof, report, profile);
	packed = pack(&pprof, bytes);
	close_pprof(&pprof);
	return packed;
}

/* With fewer and fewer rows, until the file is small enough. */
static unsigned char *
make_small_file(const struct vmt_report *report, size_t *bytes)
{
	for (size_t most = VMT_PROFILE_MOST_ROWS;; most /= 2) {
		struct vmt_profile *profile = vmt_profile_make(report, most);
		unsigned char *packed = profile ? make_file(report, profile, bytes) : NULL;

		vmt_profile_free(profile);
		if (!packed || *bytes <= VMT_PPROF_MOST_BYTES || most == 0)
			return packed;
		free(packed);
	}
}

int
vmt_pprof_write(const struct vmt_report *report, FILE *out, struct vmt_err *err)
{
	size_t bytes = 0;
	unsigned char *file = make_small_file(report, &bytes);

	if (!file)
		return vmt_err_set(err, ENOMEM, "not enough memory to write the profile");
	fwrite(file, bytes, 1, out);
	free(file);
	return 0;
}

struct vmt_pprof_several {
	struct pprof pprof;
	size_t most_rows;
};

struct vmt_pprof_several *
vmt_pprof_begin(enum vmt_metric shown_first, size_t most_rows)
{
	struct vmt_pprof_several *several = calloc(1, sizeof(*several));

	if (several) {
		several->pprof.shown_first = shown_first;
		several->most_rows = most_rows;
	}
	return several;
}

void
vmt_pprof_add(struct vmt_pprof_several *several, const struct vmt_report *report)
{
	struct vmt_profile *profile = vmt_profile_make(report, several->most_rows);

	if (profile)
		add_report(&several->pprof, report, profile);
	else
		several->pprof.failed = true;
	vmt_profile_free(profile);
}

void
vmt_pprof_drop(struct vmt_pprof_several *several)
{
	if (several)
		close_pprof(&several->pprof);
	free(several);
}

int
vmt_pprof_end(struct vmt_pprof_several *several, FILE *out, struct vmt_err *err)
{
	size_t bytes = 0;
	unsigned char *file = several ? pack(&several->pprof, &bytes) : NULL;

	vmt_pprof_drop(several);
	if (!file)
		return vmt_err_set(err, ENOMEM, "not enough memory to write the profile");
	fwrite(file, bytes, 1, out);
	free(file);
	return 0;
}
