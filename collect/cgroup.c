#include "collect/cgroup.h"

#include "base/buffer.h"
#include "base/procfs.h"
#include "base/sys.h"

/* mountinfo of a host with many containers is long; what does not fit is not looked at. */
#define MOUNTS_BYTES (256u * 1024)
#define MEMBERSHIPS_BYTES 4096u
#define FIGURES_BYTES 8192u

/* The kernel takes no quota beyond this (max_cfs_runtime, kernel/sched/core.c), and no period
 * beyond a second. */
#define QUOTA_MAX_US (UINT64_C(1) << 44)
#define QUOTA_BYTES 128u

/* v1 says "no limit" by the largest multiple of a page. */
#define NO_LIMIT_BYTES (UINT64_C(1) << 62)

/* Whether a comma-separated list has the word. */
static bool
list_has(struct vmt_text list, const char *word)
{
	struct vmt_text item;

	while (vmt_text_take_until(&list, ',', &item)) {
		if (vmt_text_equals(&item, word))
			return true;
	}
	return false;
}

/* The path of the process in the hierarchy that has the controller; "ID:LIST:PATH" lines. The
 * unified hierarchy (controller NULL) has an empty list. */
static bool
find_membership(struct vmt_text memberships, const char *controller, struct vmt_text *path)
{
	struct vmt_text line, id, list;

	while (vmt_text_take_line(&memberships, &line)) {
		if (!vmt_text_take_until(&line, ':', &id) ||
		    !vmt_text_take_until(&line, ':', &list))
			continue;
		if (controller ? list_has(list, controller) : list.at == list.end) {
			*path = line;
			return true;
		}
	}
	return false;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS" */
static bool
parse_mount(struct vmt_text line, const char *controller, struct vmt_text *root,
	    struct vmt_text *point)
{
	struct vmt_text word, type, source, options;

	for (int field = 0; field < 3; field++) {
		if (!vmt_text_take_word(&line, &word))
			return false;
	}
	if (!vmt_text_take_word(&line, root) || !vmt_text_take_word(&line, point))
		return false;
	do {
		if (!vmt_text_take_word(&line, &word))
			return false;
	} while (!vmt_text_equals(&word, "-"));
	if (!vmt_text_take_word(&line, &type) || !vmt_text_take_word(&line, &source) ||
	    !vmt_text_take_word(&line, &options))
		return false;
	if (!controller)
		return vmt_text_equals(&type, "cgroup2");
	return vmt_text_equals(&type, "cgroup") && list_has(options, controller);
}

static bool
find_mount(struct vmt_text mounts, const char *controller, struct vmt_text *root,
	   struct vmt_text *point)
{
	struct vmt_text line;

	while (vmt_text_take_line(&mounts, &line)) {
		if (parse_mount(line, controller, root, point))
			return true;
	}
	return false;
}

/* Where the mount shows a part of the hierarchy only, the process's path begins with that part. */
static void
strip_root(struct vmt_text *path, const struct vmt_text *root)
{
	size_t length = vmt_text_length(root);

	if (length <= 1 || vmt_text_length(path) < length ||
	    memcmp(path->at, root->at, length) != 0)
		return;
	if (vmt_text_length(path) == length || path->at[length] == '/')
		path->at += length;
}

static bool
locate_version(struct vmt_cgroup *cgroup, struct vmt_text memberships, struct vmt_text mounts,
	       const char *controller)
{
	struct vmt_text_out out = vmt_text_out_begin(cgroup->path, sizeof(cgroup->path));
	struct vmt_text path, root, point;

	if (!find_membership(memberships, controller, &path) ||
	    !find_mount(mounts, controller, &root, &point))
		return false;
	strip_root(&path, &root);
	if (vmt_text_length(&path) && path.end[-1] == '/')
		path.end--;
	vmt_text_put_bytes(&out, point.at, vmt_text_length(&point));
	cgroup->mount_bytes = (uint32_t)vmt_text_length(&point);
	vmt_text_put_bytes(&out, path.at, vmt_text_length(&path));
	cgroup->version = controller ? 1 : 2;
	return !out.overflow;
}

bool
vmt_cgroup_locate(struct vmt_cgroup *cgroup, struct vmt_text memberships, struct vmt_text mounts,
		  const char *controller)
{
	/* In a mixed system a controller is in one hierarchy: v1 if that names it. */
	if (locate_version(cgroup, memberships, mounts, controller) ||
	    locate_version(cgroup, memberships, mounts, NULL))
		return true;
	cgroup->path[0] = '\0';
	return false;
}

static long
read_path(const char *path, char *buffer, size_t length)
{
	int fd = vmt_sys_open(path, O_RDONLY, 0);
	long got;

	if (fd < 0)
		return fd;
	got = vmt_procfs_read(fd, buffer, length);
	vmt_sys_close(fd);
	return got;
}

bool
vmt_cgroup_find(struct vmt_cgroup *cgroup, uint32_t pid, const char *controller)
{
	char memberships[MEMBERSHIPS_BYTES];
	struct vmt_buffer mounts = {0};
	long membership_bytes = -1, mount_bytes = -1;
	int fd = vmt_procfs_open(pid, "cgroup");
	bool found = false;

	cgroup->path[0] = '\0';
	if (fd >= 0) {
		membership_bytes = vmt_procfs_read(fd, memberships, sizeof(memberships));
		vmt_sys_close(fd);
	}
	if (membership_bytes > 0 && vmt_buffer_reserve(&mounts, MOUNTS_BYTES))
		mount_bytes = read_path("/proc/self/mountinfo", (char *)mounts.bytes, MOUNTS_BYTES);
	if (mount_bytes > 0)
		found = vmt_cgroup_locate(
		    cgroup, vmt_text_of(memberships, (size_t)membership_bytes),
		    vmt_text_of((const char *)mounts.bytes, (size_t)mount_bytes), controller);
	vmt_buffer_free(&mounts);
	return found;
}

/* Reads a file of the directory that is the first `directory_bytes` of the path. */
static struct vmt_text
read_figures(const struct vmt_cgroup *cgroup, size_t directory_bytes, const char *name,
	     char *buffer, size_t length)
{
	char path[VMT_CGROUP_PATH_BYTES + 64];
	struct vmt_text_out out = vmt_text_out_begin(path, sizeof(path));
	long got;

	vmt_text_put_bytes(&out, cgroup->path, directory_bytes);
	vmt_text_put(&out, "/");
	vmt_text_put(&out, name);
	got = out.overflow ? 0 : read_path(path, buffer, length);
	return vmt_text_of(buffer, got > 0 ? (size_t)got : 0);
}

static uint64_t
read_number(const struct vmt_cgroup *cgroup, size_t directory_bytes, const char *name, char *buffer)
{
	struct vmt_text text = read_figures(cgroup, directory_bytes, name, buffer, FIGURES_BYTES);
	uint64_t number;

	return vmt_text_take_decimal(&text, &number) ? number : VMT_FIGURE_UNKNOWN;
}

static uint64_t
figure(struct vmt_text text, const char *key)
{
	uint64_t number;

	return vmt_text_find_figure(text, key, &number) ? number : VMT_FIGURE_UNKNOWN;
}

/* From a directory to the one above; false at the mount. In a namespace of its own a container
 * sees its cgroup at the mount itself, so that is looked at as well. */
static bool
step_up(const struct vmt_cgroup *cgroup, size_t *directory_bytes)
{
	if (*directory_bytes <= cgroup->mount_bytes)
		return false;
	do
		--*directory_bytes;
	while (*directory_bytes > cgroup->mount_bytes && cgroup->path[*directory_bytes] != '/');
	return true;
}

/* Where the lowest limit from here up to the mount is, in bytes of the path, and what it is; the
 * process's own cgroup and VMT_FIGURE_UNKNOWN where there is none. */
static size_t
find_limit(const struct vmt_cgroup *cgroup, const char *name, char *buffer, uint64_t *limit)
{
	size_t directory_bytes = strlen(cgroup->path);
	size_t found = directory_bytes;

	*limit = VMT_FIGURE_UNKNOWN;
	do {
		uint64_t here = read_number(cgroup, directory_bytes, name, buffer);

		if (here >= *limit)
			continue;
		*limit = here;
		found = directory_bytes;
	} while (step_up(cgroup, &directory_bytes));
	return found;
}

/* Figures of one cgroup and of those below it. */
struct names {
	const char *current;
	const char *peak;
	const char *anon;
	const char *file;
	const char *shmem;
};

static const struct names names_of_first = {"memory.usage_in_bytes", "memory.max_usage_in_bytes",
					    "total_rss", "total_cache", "total_shmem"};
static const struct names names_of_second = {"memory.current", "memory.peak", "anon", "file",
					     "shmem"};

static void
read_use(const struct vmt_cgroup *cgroup, size_t directory_bytes, const struct names *names,
	 struct vmt_usage *usage, char *buffer)
{
	struct vmt_text text;

	usage->cgroup_current_bytes = read_number(cgroup, directory_bytes, names->current, buffer);
	usage->cgroup_peak_bytes = read_number(cgroup, directory_bytes, names->peak, buffer);
	text = read_figures(cgroup, directory_bytes, "memory.stat", buffer, FIGURES_BYTES);
	usage->cgroup_anon_bytes = figure(text, names->anon);
	usage->cgroup_file_bytes = figure(text, names->file);
	usage->cgroup_shmem_bytes = figure(text, names->shmem);
}

static void
read_second(const struct vmt_cgroup *cgroup, struct vmt_usage *usage, char *buffer)
{
	size_t limited = find_limit(cgroup, "memory.max", buffer, &usage->cgroup_limit_bytes);
	struct vmt_text text;

	read_use(cgroup, limited, &names_of_second, usage, buffer);
	text = read_figures(cgroup, strlen(cgroup->path), "memory.events", buffer, FIGURES_BYTES);
	usage->cgroup_oom_kills = figure(text, "oom_kill");
}

/* Whether the limits of those above count is the kernel's to say (memory.use_hierarchy). */
static void
read_first(const struct vmt_cgroup *cgroup, struct vmt_usage *usage, char *buffer)
{
	size_t whole = strlen(cgroup->path);
	struct vmt_text text = read_figures(cgroup, whole, "memory.stat", buffer, FIGURES_BYTES);
	uint64_t limit = figure(text, "hierarchical_memory_limit");
	uint64_t lowest;
	size_t limited = find_limit(cgroup, "memory.limit_in_bytes", buffer, &lowest);

	usage->cgroup_limit_bytes = limit < NO_LIMIT_BYTES ? limit : VMT_FIGURE_UNKNOWN;
	read_use(cgroup, lowest == usage->cgroup_limit_bytes ? limited : whole, &names_of_first,
		 usage, buffer);
	text = read_figures(cgroup, whole, "memory.oom_control", buffer, FIGURES_BYTES);
	usage->cgroup_oom_kills = figure(text, "oom_kill");
}

void
vmt_cgroup_read(const struct vmt_cgroup *cgroup, struct vmt_usage *usage)
{
	char buffer[FIGURES_BYTES];

	usage->cgroup_current_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_peak_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_limit_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_anon_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_file_bytes = VMT_FIGURE_UNKNOWN;
	usage->cgroup_oom_kills = VMT_FIGURE_UNKNOWN;
	usage->cgroup_shmem_bytes = VMT_FIGURE_UNKNOWN;
	if (cgroup->path[0] == '\0')
		return;
	if (cgroup->version == 2)
		read_second(cgroup, usage, buffer);
	else
		read_first(cgroup, usage, buffer);
}

uint32_t
vmt_cgroup_parse_quota(struct vmt_text quota, struct vmt_text period)
{
	uint64_t quota_us, period_us, part;

	vmt_text_skip_blanks(&period);
	if (!vmt_text_take_decimal(&quota, &quota_us) ||
	    !vmt_text_take_decimal(&period, &period_us) || period_us == 0 ||
	    period_us > QUOTA_MAX_US || quota_us > QUOTA_MAX_US)
		return VMT_CPU_WHOLE;
	part = quota_us * VMT_CPU_WHOLE / period_us;
	if (part > VMT_CPU_WHOLE)
		return VMT_CPU_WHOLE;
	return part ? (uint32_t)part : 1;
}

/* v2 has both in one file, as "QUOTA PERIOD" or "max PERIOD"; v1 in two, with -1 for none. */
static uint32_t
read_quota(const struct vmt_cgroup *cgroup, size_t directory_bytes)
{
	char quota_buffer[QUOTA_BYTES], period_buffer[QUOTA_BYTES];
	struct vmt_text quota, period;

	if (cgroup->version == 2) {
		period =
		    read_figures(cgroup, directory_bytes, "cpu.max", quota_buffer, QUOTA_BYTES);
		if (!vmt_text_take_word(&period, &quota))
			return VMT_CPU_WHOLE;
	} else {
		quota = read_figures(cgroup, directory_bytes, "cpu.cfs_quota_us", quota_buffer,
				     QUOTA_BYTES);
		period = read_figures(cgroup, directory_bytes, "cpu.cfs_period_us", period_buffer,
				      QUOTA_BYTES);
	}
	return vmt_cgroup_parse_quota(quota, period);
}

uint32_t
vmt_cgroup_read_cpu(const struct vmt_cgroup *cgroup)
{
	size_t directory_bytes = strlen(cgroup->path);
	uint32_t lowest = VMT_CPU_WHOLE;

	if (directory_bytes == 0)
		return lowest;
	do {
		uint32_t part = read_quota(cgroup, directory_bytes);

		if (part < lowest)
			lowest = part;
	} while (step_up(cgroup, &directory_bytes));
	return lowest;
}
