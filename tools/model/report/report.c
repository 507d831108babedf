#include "tools/model/report/report.h"

#include <string.h>

bool
vmt_report_is_c_library(const struct vmt_frame *frame)
{
	static const char *const names[] = {
	    "libc.so",	"libc-",   "libpthread", "ld-linux",	 "libstdc++.so", "libc++.so",
	    "libgcc_s", "libm.so", "libvmtrace", "libc++abi.so", "ld-musl",	 "[vdso]"};
	const char *slash = frame->module ? strrchr(frame->module, '/') : NULL;
	const char *base = slash ? slash + 1 : frame->module;

	for (size_t i = 0; base && i < sizeof(names) / sizeof(*names); i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}
