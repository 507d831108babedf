#include "tools/export/speedscope.h"

#include "tools/export/frame_names.h"
#include "tools/hash_table.h"
#include "tools/render/emitter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MOST ((UINT64_C(1) << 53) - 1)

/* A frame by its name, file and line. */
struct frame {
	UT_hash_handle hh;
	uint32_t number;
	uint32_t line;
	const char *file;
	char key[]; /* line, file and name, each as text */
};

struct file {
	const struct vmt_profile *profile;
	struct frame *frames;
	uint32_t *stacks; /* frames of all rows, one row after another, outermost first */
	size_t *first;	  /* of each row, and the end */
	struct vmt_emitter emitter;
};

static uint64_t
capped(uint64_t value)
{
	return value < NUMBER_MOST ? value : NUMBER_MOST;
}

/* The number of a frame, made when new; UINT32_MAX: no memory. */
static uint32_t
number_of(struct file *file, const struct vmt_frame_name *name)
{
	const char *path = name->file ? name->file : "";
	size_t bytes = strlen(path) + strlen(name->name) + 16;
	struct frame *made = calloc(1, sizeof(*made) + bytes);
	struct frame *found;
	size_t length;

	if (!made)
		return UINT32_MAX;
	length = (size_t)snprintf(made->key, bytes, "%010u%s\n%s", name->line, name->name, path);
	HASH_FIND(hh, file->frames, made->key, length, found);
	if (found) {
		free(made);
		return found->number;
	}
	made->number = HASH_COUNT(file->frames);
	made->line = name->line;
	made->file = name->file;
	HASH_ADD_KEYPTR(hh, file->frames, made->key, length, made);
	if (made->hh.tbl)
		return made->number;
	free(made);
	return UINT32_MAX;
}

static int
number_row(struct file *file, size_t row, size_t *used)
{
	size_t count = vmt_frame_names_count(&file->profile->rows[row]);
	struct vmt_frame_name name;

	file->first[row] = *used;
	for (size_t i = 0; i < count; i++) {
		vmt_frame_names_get(&file->profile->rows[row], i, "", &name);
		file->stacks[*used] = number_of(file, &name);
		if (file->stacks[(*used)++] == UINT32_MAX)
			return -ENOMEM;
	}
	return 0;
}

static int
number_frames(struct file *file)
{
	size_t count = file->profile->count;
	size_t frames = 0;
	size_t used = 0;
	int result = 0;

	for (size_t i = 0; i < count; i++)
		frames += vmt_frame_names_count(&file->profile->rows[i]);
	file->stacks = calloc(frames + 1, sizeof(*file->stacks));
	file->first = calloc(count + 1, sizeof(*file->first));
	if (!file->stacks || !file->first)
		return -ENOMEM;
	for (size_t i = 0; i < count && !result; i++)
		result = number_row(file, i, &used);
	file->first[count] = used;
	return result;
}

/* In the order of their numbers, in which they were added. */
static void
print_frames(struct file *file)
{
	struct vmt_emitter *emitter = &file->emitter;

	vmt_emitter_object(emitter, "shared");
	vmt_emitter_array(emitter, "frames");
	for (const struct frame *frame = file->frames; frame; frame = frame->hh.next) {
		const char *name = frame->key + 10;

		vmt_emitter_object(emitter, NULL);
		vmt_emitter_bytes(emitter, "name", name, strcspn(name, "\n"));
		if (frame->file)
			vmt_emitter_string(emitter, "file", frame->file);
		if (frame->line)
			vmt_emitter_u64(emitter, "line", frame->line);
		vmt_emitter_object_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
}

static void
print_samples(struct file *file, enum vmt_metric metric)
{
	struct vmt_emitter *emitter = &file->emitter;

	vmt_emitter_array(emitter, "samples");
	for (size_t i = 0; i < file->profile->count; i++) {
		if (!file->profile->rows[i].values[metric])
			continue;
		vmt_emitter_array(emitter, NULL);
		for (size_t j = file->first[i]; j < file->first[i + 1]; j++)
			vmt_emitter_u64(emitter, NULL, file->stacks[j]);
		vmt_emitter_array_end(emitter);
	}
	vmt_emitter_array_end(emitter);
	vmt_emitter_array(emitter, "weights");
	for (size_t i = 0; i < file->profile->count; i++)
		if (file->profile->rows[i].values[metric])
			vmt_emitter_u64(emitter, NULL,
					capped(file->profile->rows[i].values[metric]));
	vmt_emitter_array_end(emitter);
}

static void
print_profile(struct file *file, enum vmt_metric metric)
{
	const char *unit = vmt_profile_metric_unit(metric);
	struct vmt_emitter *emitter = &file->emitter;

	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "type", "sampled");
	vmt_emitter_string(emitter, "name", vmt_profile_metric_names[metric]);
	vmt_emitter_string(emitter, "unit", strcmp(unit, "bytes") == 0 ? "bytes" : "none");
	vmt_emitter_u64(emitter, "startValue", 0);
	vmt_emitter_u64(emitter, "endValue", capped(file->profile->totals[metric]));
	print_samples(file, metric);
	vmt_emitter_object_end(emitter);
}

static int
print_file(struct file *file, const struct vmt_report *report, enum vmt_metric shown, FILE *out,
	   struct vmt_err *err)
{
	struct vmt_emitter *emitter = &file->emitter;

	vmt_emitter_begin(emitter, out, VMT_EMITTER_JSON_LINES);
	vmt_emitter_object(emitter, NULL);
	vmt_emitter_string(emitter, "$schema",
			   "https://www.speedscope.app/file-format-schema.json");
	vmt_emitter_string(emitter, "exporter", "vmtrace");
	vmt_emitter_string(emitter, "name", vmt_report_command(report));
	vmt_emitter_u64(emitter, "activeProfileIndex", shown);
	print_frames(file);
	vmt_emitter_array(emitter, "profiles");
	for (int i = 0; i < VMT_METRICS; i++)
		print_profile(file, (enum vmt_metric)i);
	vmt_emitter_array_end(emitter);
	vmt_emitter_object_end(emitter);
	return vmt_emitter_finish(emitter, err);
}

int
vmt_speedscope_write(const struct vmt_report *report, enum vmt_metric shown, FILE *out,
		     struct vmt_err *err)
{
	struct vmt_profile *profile = vmt_profile_make(report, VMT_PROFILE_MOST_ROWS);
	struct file file = {.profile = profile};
	int result = profile ? number_frames(&file) : -ENOMEM;

	if (result == 0)
		result = print_file(&file, report, shown, out, err);
	else
		vmt_err_set(err, ENOMEM, "not enough memory to write the profile");
	VMT_HASH_TABLE_FREE(struct frame, file.frames, free);
	free(file.stacks);
	free(file.first);
	vmt_profile_free(profile);
	return result;
}
