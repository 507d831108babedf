#include "collect/touch_counts.h"

#include "base/procfs.h"

void
vmt_touch_counts_begin(struct vmt_touch_counts *counts, int stat_fd)
{
	*counts = (struct vmt_touch_counts){0};
	vmt_touch_counts_read(counts, stat_fd);
	*counts = (struct vmt_touch_counts){
	    .minor_before = counts->minor, .major_before = counts->major, .known = counts->known};
}

void
vmt_touch_counts_read(struct vmt_touch_counts *counts, int stat_fd)
{
	struct vmt_procfs_stat stat;

	if (stat_fd < 0 || !vmt_procfs_read_stat(stat_fd, &stat) ||
	    stat.minor_faults < counts->minor_before || stat.major_faults < counts->major_before) {
		counts->known &= counts->is_final;
		return;
	}
	counts->known = true;
	counts->minor = stat.minor_faults - counts->minor_before;
	counts->major = stat.major_faults - counts->major_before;
}
