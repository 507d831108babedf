#include "capture/trace/open_error.h"

#include "base/text.h"
#include "capture/core/guard.h"

#include <errno.h>

static const char *
explain(long error)
{
	switch (-error) {
	case 0:
		return "the output file's file system has no shared mappings, and there is no "
		       "collector";
	case EACCES:
	case EPERM:
		return "no permission to write the output file (VMTRACE_OUTPUT)";
	case ENOENT:
	case ENOTDIR:
		return "the directory of the output file does not exist (VMTRACE_OUTPUT)";
	case EISDIR:
		return "the output file is a directory (VMTRACE_OUTPUT)";
	case ENOSPC:
	case EDQUOT:
		return "no space left for the output file";
	case EROFS:
		return "the output file's file system is read-only (VMTRACE_OUTPUT)";
	case EFBIG:
		return "the limit on file sizes (ulimit -f) is too small for the output file";
	case ENAMETOOLONG:
		return "the name of the output file is too long (VMTRACE_OUTPUT)";
	case EMFILE:
	case ENFILE:
		return "no descriptor is left for the output file";
	case ENODEV:
	case EINVAL:
	case EOPNOTSUPP:
		return "no file can be mapped shared, neither beside the trace nor in /dev/shm or "
		       "/tmp";
	case ENOSYS:
		return "a seccomp filter forbids making the output file";
	default:
		return "the output file cannot be made";
	}
}

const char *
vmt_open_error_of_file(long error, const char *path)
{
	static char text[VMT_SESSION_PATH_BYTES + 128];
	struct vmt_text_out out = vmt_text_out_begin(text, sizeof(text));

	vmt_text_put(&out, explain(error));
	vmt_text_put(&out, ": ");
	vmt_text_put(&out, path);
	return text;
}
