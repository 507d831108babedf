#include "tools/read/trace/trace_head.h"

#include <errno.h>
#include <string.h>

/* The fields that say whether the others mean anything, before the others are looked at. */
static int
check_identity(const struct vmt_head *head, const char *path, struct vmt_err *err)
{
	uint64_t unknown = head->features & VMT_FEATURES_REQUIRED & ~VMT_FEATURES_KNOWN;

	if (memcmp(head->magic, VMT_MAGIC, sizeof(head->magic)) != 0)
		return vmt_err_set(err, EBADMSG, "%s: is not a vmtrace trace", path);
	if (head->version < VMT_OLDEST_VERSION || head->version > VMT_VERSION)
		return vmt_err_set(err, EPROTONOSUPPORT,
				   "%s: is a trace of version %u, this vmtrace reads versions %u "
				   "to %u",
				   path, head->version, VMT_OLDEST_VERSION, VMT_VERSION);
	if (unknown != 0)
		return vmt_err_set(
		    err, EPROTONOSUPPORT,
		    "%s: needs features 0x%llx that this vmtrace doesn't know: use a newer one",
		    path, (unsigned long long)unknown);
	return 0;
}

bool
vmt_trace_head_read_known(const struct vmt_file_reader *file, struct vmt_head *head)
{
	memset(head, 0, sizeof(*head));
	if (!vmt_file_reader_read(file, 0, head, VMT_HEAD_MIN_BYTES))
		return false;
	if (head->head_bytes <= VMT_HEAD_MIN_BYTES || head->head_bytes > VMT_HEAD_MAX_BYTES)
		return true; /* whole; or wrong, which vmt_head_check says */
	return vmt_file_reader_read(
	    file, 0, head, head->head_bytes < sizeof(*head) ? head->head_bytes : sizeof(*head));
}

static int
too_short(const struct vmt_file_reader *file, uint64_t wanted, struct vmt_err *err)
{
	return vmt_err_set(err, EBADMSG,
			   "%s: is cut before the end of its head (%llu of %llu bytes)", file->path,
			   (unsigned long long)file->bytes, (unsigned long long)wanted);
}

int
vmt_trace_head_read(const struct vmt_file_reader *file, struct vmt_head *head, struct vmt_err *err)
{
	static const char nothing[sizeof(VMT_MAGIC)];
	char magic[sizeof(VMT_MAGIC)] = "";
	const char *trouble;
	int result;
	size_t length = file->bytes < sizeof(magic) ? file->bytes : sizeof(magic);

	if (!vmt_file_reader_read(file, 0, magic, length))
		return vmt_err_set(err, EIO, "%s: can't be read", file->path);
	if (memcmp(magic, nothing, length) == 0)
		return vmt_err_set(err, ENODATA,
				   "%s: holds nothing yet: the program ended before its recording "
				   "began, or has just started",
				   file->path);
	if (memcmp(magic, VMT_MAGIC, length) != 0)
		return vmt_err_set(err, EBADMSG, "%s: is not a vmtrace trace", file->path);
	if (!vmt_trace_head_read_known(file, head))
		return too_short(file, VMT_HEAD_MIN_BYTES, err);
	result = check_identity(head, file->path, err);
	if (result != 0)
		return result;
	trouble = vmt_head_check(head);
	if (trouble != NULL)
		return vmt_err_set(err, EBADMSG, "%s: %s", file->path, trouble);
	if (head->chunks_offset > file->bytes)
		return too_short(file, head->chunks_offset, err);
	return 0;
}

int
vmt_trace_head_of(const char *path, struct vmt_head *head, struct vmt_err *err)
{
	struct vmt_file_reader file;
	int result = vmt_file_reader_open(&file, path, err);

	if (result == 0)
		result = vmt_trace_head_read(&file, head, err);
	vmt_file_reader_close(&file);
	return result;
}
