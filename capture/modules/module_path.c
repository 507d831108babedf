#include "capture/modules/module_path.h"

#include "base/sys.h"
#include "base/text.h"
#include "capture/core/guard.h"
#include "capture/core/recording.h"

#include <string.h>

static bool
is_vdso(const char *name)
{
	struct vmt_text text = vmt_text_of(name, vmt_text_string_bytes(name));

	return vmt_text_skip_string(&text, "linux-vdso.so") ||
	       vmt_text_skip_string(&text, "linux-gate.so");
}

/* The program's own file: the head has it, where it is whole there. */
static uint32_t
read_program(char *path, uint32_t path_bytes)
{
	const struct vmt_head *head = vmt_recording.head;
	size_t known = head ? vmt_text_string_bytes(head->exe) : 0;
	long length = 0;

	if (known > 0 && known < sizeof(head->exe) - 1 && known <= path_bytes) {
		memcpy(path, head->exe, known);
		return (uint32_t)known;
	}
	if (vmt_guard_syscalls_allowed())
		length =
		    vmt_sys_call4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, path_bytes);
	return length > 0 ? (uint32_t)length : 0;
}

/* The present directory and a slash. */
static uint32_t
read_directory(char *path, uint32_t path_bytes)
{
	long length = vmt_sys_call2(SYS_getcwd, path, path_bytes);

	if (length <= 0 || length >= (long)path_bytes)
		return 0;
	path[length - 1] = '/';
	return (uint32_t)length;
}

uint32_t
vmt_module_path(const char *name, char *path, uint32_t path_bytes)
{
	uint32_t used = 0;

	if (name[0] == '\0')
		return read_program(path, path_bytes);
	if (is_vdso(name))
		name = "[vdso]";
	else if (name[0] != '/' && name[0] != '[' && vmt_guard_syscalls_allowed())
		used = read_directory(path, path_bytes);
	for (; *name && used < path_bytes; used++)
		path[used] = *name++;
	return used;
}
