#include "preload/trace/search_path.h"

#include "base/sys.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

static const char *
directories(void)
{
	for (char **entry = environ; entry && *entry; entry++)
		if (strncmp(*entry, "PATH=", 5) == 0)
			return *entry + 5;
	return "/bin:/usr/bin";
}

bool
vmt_search_path_find(const char *name, char path[VMT_STATIC_EXEC_PATH_BYTES])
{
	const char *rest = directories();

	for (;;) {
		size_t length = strcspn(rest, ":");
		struct vmt_text_out out = vmt_text_out_begin(path, VMT_STATIC_EXEC_PATH_BYTES);

		vmt_text_put_bytes(&out, rest, length);
		vmt_text_put(&out, length != 0 ? "/" : "");
		vmt_text_put(&out, name);
		if (!out.overflow && vmt_sys_call3(SYS_faccessat, AT_FDCWD, path, X_OK) == 0)
			return true;
		if (rest[length] == '\0')
			return false;
		rest += length + 1;
	}
}
