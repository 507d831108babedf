#include "inject/why.h"

#include <errno.h>

/* strerror is of the C library, which is not there where the library runs as a program. */
static const struct {
	int error;
	const char *words;
} known[] = {
    {EPERM, "operation not permitted"},
    {ENOENT, "no such file or place"},
    {ESRCH, "it has ended"},
    {EINTR, "interrupted"},
    {EIO, "input/output error"},
    {E2BIG, "it is too large"},
    {ENOEXEC, "it is of no known form"},
    {EAGAIN, "resource temporarily unavailable"},
    {ENOMEM, "not enough memory or address space"},
    {EACCES, "permission denied"},
    {EFAULT, "bad address"},
    {EBUSY, "a thread was in the way"},
    {EEXIST, "its place is taken"},
    {ENODEV, "no such device"},
    {EINVAL, "invalid argument"},
    {ENFILE, "too many open files in the system"},
    {EMFILE, "too many open files"},
    {EFBIG, "it is too large"},
    {ENOSPC, "no space left"},
    {ERANGE, "it is too far away"},
    {EDEADLK, "no thread can make calls"},
    {ENOSYS, "the kernel has no such call"},
    {ENAMETOOLONG, "a path is too long"},
    {EBADMSG, "its answer is in disorder"},
    {EOVERFLOW, "value too large"},
    {ETIMEDOUT, "its time was up"},
};

static const char *
words_of(int error)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].error == error)
			return known[i].words;
	return NULL;
}

bool
vmt_why_put(char why[VMT_WHY_BYTES], const char *what, int error)
{
	struct vmt_text_out out = vmt_text_out_begin(why, VMT_WHY_BYTES);
	const char *words = words_of(-error);

	vmt_text_put(&out, what);
	if (error == 0)
		return false;
	vmt_text_put(&out, ": ");
	if (words) {
		vmt_text_put(&out, words);
	} else {
		vmt_text_put(&out, "the kernel's error ");
		vmt_text_put_decimal(&out, (uint64_t)-error);
	}
	return false;
}

const char *
vmt_why_no_room(int error)
{
	switch (error) {
	case -ENOSPC:
		return "no memory is free within 2 GiB of its code";
	case -ENOMEM:
		return "the kernel gives it no more mappings (a limit of memory or of mappings)";
	case -EAGAIN:
		return "it locks its memory, and its limit of that is reached (RLIMIT_MEMLOCK)";
	case -EPERM:
	case -EACCES:
		return "it may have no new memory that can be executed";
	case -ESRCH:
		return "it has ended";
	case -EIO:
		return "its memory can't be written";
	default:
		return "the recorder could not be put into its memory";
	}
}
