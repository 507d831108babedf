#include "collect/hidden_file.h"

#include "base/sys.h"
#include "base/text.h"

/* Up to the last slash and with it. */
static size_t
directory_bytes(const char *path)
{
	const char *name = path;

	for (const char *at = path; *at; at++)
		name = *at == '/' ? at + 1 : name;
	return (size_t)(name - path);
}

bool
vmt_hidden_file_path(const struct vmt_traced *process, char *path, size_t room)
{
	struct vmt_text_out out = vmt_text_out_begin(path, room);

	vmt_text_put_bytes(&out, process->path, directory_bytes(process->path));
	vmt_text_put(&out, ".vmtrace.");
	vmt_text_put_decimal(&out, process->pid);
	vmt_text_put(&out, ".");
	vmt_text_put_decimal(&out, process->random_id);
	vmt_text_put(&out, ".child");
	return !out.overflow;
}

void
vmt_hidden_file_remove(const struct vmt_traced *process)
{
	char path[VMT_SESSION_PATH_BYTES];

	if (process->hidden && vmt_hidden_file_path(process, path, sizeof(path)))
		vmt_sys_call3(SYS_unlinkat, AT_FDCWD, path, 0);
}
