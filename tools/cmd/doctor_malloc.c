/*
 * doctor_malloc.c: how are the blocks of a program's malloc seen?
 */
#include "inject/file_view.h"
#include "inject/heap_hooks.h"
#include "tools/cmd/doctor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

static int
judge(struct vmt_heap_hooks *hooks, const struct vmt_file *file)
{
	struct vmt_code_map map;
	int status = vmt_code_map_open_file(&map, file->bytes, file->length, 0);

	if (status)
		return status;
	status = vmt_file_functions_add(file, &map);
	vmt_code_map_settle(&map);
	vmt_heap_hooks_collect(hooks, file, map.bias);
	if (!status)
		status = vmt_heap_hooks_judge(hooks, &map);
	vmt_code_map_close(&map);
	return status;
}

/* As the recorder does at the program's start. */
static int
look_into(struct vmt_heap_hooks *hooks, const struct vmt_preloadable *program)
{
	uint64_t most = program->defines_malloc ? VMT_HEAP_HOOKS_SYMBOLS_KNOWN_BYTES
						: VMT_HEAP_HOOKS_SYMBOLS_BYTES;
	int fd = open(program->path, O_RDONLY | O_CLOEXEC);
	struct vmt_file file = vmt_file_view_open(fd, UINT64_MAX);
	int status = -1;

	if (fd >= 0)
		close(fd);
	if (file.length != 0 && (!hooks->may_throw || vmt_file_functions_bytes(&file) <= most))
		status = judge(hooks, &file);
	vmt_file_view_close(&file);
	return status;
}

void
vmt_doctor_malloc(struct vmt_doctor *doctor, const struct vmt_preloadable *program)
{
	static struct vmt_heap_hooks hooks;
	bool is_there = program->defines_malloc || (doctor->is_static && !program->is_go);

	hooks = (struct vmt_heap_hooks){.may_throw = !doctor->is_static};
	if (look_into(&hooks, program) != 0)
		hooks.count = hooks.led = 0;
	if (hooks.led != 0)
		vmt_doctor_say(doctor, VMT_DOCTOR_OK, NULL,
			       "an allocator is linked into it: blocks are recorded by changing "
			       "its %u functions at their entry when it starts",
			       hooks.led);
	if (hooks.count > hooks.led)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "its mappings are recorded; for its blocks use the allocator's own "
			       "profiler",
			       "blocks of an allocator that is linked into it are not recorded: "
			       "its function at %#" PRIx64 " %s",
			       hooks.unled_at, hooks.unled_why);
	else if (hooks.led == 0 && is_there)
		vmt_doctor_say(doctor, VMT_DOCTOR_NOTE,
			       "its mappings are recorded; use a file that is not stripped",
			       "blocks of its malloc are not recorded: no symbol says where that "
			       "is");
}
