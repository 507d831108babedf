#include "tools/cmd/record_forked.h"

#include "inject/target_memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the process was told, it was told for this recording alone. */
static bool
has_recorder(const struct vmt_target *memory, const struct vmt_attach *attach)
{
	static struct vmt_blob_parameters now; /* large */
	const struct vmt_blob_parameters *known = &attach->parameters;

	return vmt_blob_placement_read(&attach->placement, memory, &now) == 0 &&
	       now.state == VMT_BLOB_RECORDING && now.low == known->low &&
	       now.high == known->high &&
	       memcmp(now.settings, attach->settings, attach->settings_bytes) == 0;
}

bool
vmt_record_forked_is_one(struct vmt_record_forked *forked, uint32_t pid,
			 const struct vmt_record_target *targets, size_t count)
{
	struct vmt_target memory = {.mem_fd = -1};
	bool is_one = false;

	if (vmt_target_open(&memory, (pid_t)pid) < 0)
		return false;
	for (size_t i = 0; i < count && !is_one; i++) {
		const struct vmt_record_target *target = &targets[i];

		is_one =
		    target->forked && target->pid != pid && has_recorder(&memory, target->forked);
		if (is_one)
			*forked = (struct vmt_record_forked){.pid = pid, .parent = i};
	}
	vmt_target_close(&memory);
	return is_one;
}

bool
vmt_record_forked_is_closed(uint32_t pid)
{
	struct vmt_target memory = {.mem_fd = -1};
	int error = vmt_target_open(&memory, (pid_t)pid);

	vmt_target_close(&memory);
	return error == -EPERM || error == -EACCES;
}

/* One that has been left may have its number from another that had ended. */
static bool
is_target(uint32_t pid, const struct vmt_record_target *targets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (targets[i].pid == pid && targets[i].attach && !targets[i].has_left)
			return true;
	return false;
}

size_t
vmt_record_forked_find(struct vmt_record_forked *found, size_t room,
		       const struct vmt_record_target *targets, size_t count)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t many = 0;

	while (proc && many < room && (entry = readdir(proc))) {
		uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (isdigit((unsigned char)entry->d_name[0]) && !is_target(pid, targets, count) &&
		    vmt_record_forked_is_one(&found[many], pid, targets, count))
			many++;
	}
	if (proc)
		closedir(proc);
	return many;
}
