#include "inject/spare_signal.h"

#include "base/procfs.h"
#include "base/sys.h"
#include "inject/signal_lines.h"

#include <signal.h>

#define STATUS_BYTES 8192u

int
vmt_spare_signal_find(pid_t pid, pid_t tid, uint64_t blocked)
{
	static const int candidates[] = {SIGURG, SIGWINCH, SIGCHLD};
	char bytes[STATUS_BYTES], name[48];
	struct vmt_text_out out = vmt_text_out_begin(name, sizeof(name));
	struct vmt_text text;
	uint64_t used;
	long got;
	int fd;

	vmt_text_put(&out, "task/");
	vmt_text_put_decimal(&out, (uint64_t)tid);
	vmt_text_put(&out, "/status");
	fd = vmt_procfs_open((uint32_t)pid, name);
	got = fd < 0 ? fd : vmt_procfs_read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		vmt_sys_close(fd);
	if (got <= 0)
		return 0;
	text = vmt_text_of(bytes, (size_t)got);
	used = blocked | vmt_signal_lines_mask(text, "SigCgt:") |
	       vmt_signal_lines_mask(text, "SigPnd:") | vmt_signal_lines_mask(text, "ShdPnd:");
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (!(used & vmt_signal_lines_bit(candidates[i])))
			return candidates[i];
	return 0;
}
